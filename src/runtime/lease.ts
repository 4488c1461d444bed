// Leases in Redis: one process of the fleet does a thing at a time, and another takes over when it dies.
// What is done under a lease is not known here. Whoever was frozen may have lost its lease without knowing.
import { randomBytes } from 'node:crypto';
import { runScript, script } from './lua-script.ts';
import type { Redis } from './redis.ts';

export interface Lease {
  /** Keeps it for `ms` more. Answers whether it is still ours. */
  renew(ms: number): Promise<boolean>;
  /** Gives it back if it is still ours. */
  free(): Promise<void>;
}

/**
 * Takes the lease, or tells that it is ours already: a command is sent again when its answer was lost. One without an end,
 * or with a later one than `mostMs` allows, is nobody's.
 */
const TAKE = script({
  name: 'take_lease',
  keys: ['lease'],
  args: ['token', 'ms', 'mostMs'],
  lua: `
    local left = redis.call('PTTL', lease)
    if mostMs ~= '' and (left == -1 or left > tonumber(mostMs)) then redis.call('DEL', lease) end
    if redis.call('SET', lease, token, 'PX', ms, 'NX') then return 1 end
    return redis.pcall('GET', lease) == token and 1 or 0`,
});

const RENEW = script({
  name: 'renew_lease',
  keys: ['lease'],
  args: ['token', 'ms'],
  lua: `if redis.call('GET', lease) ~= token then return 0 end return redis.call('PEXPIRE', lease, ms)`,
});

const FREE = script({
  name: 'free_lease',
  keys: ['lease'],
  args: ['token'],
  lua: `if redis.call('GET', lease) ~= token then return 0 end return redis.call('DEL', lease)`,
});

/**
 * The lease of this name for `ms`, or undefined when another process has it. `key` is `redisKeys().lease(name)`; with
 * `mostMs` a lease that would be kept for longer than that was put there by nobody of ours, and does not count.
 */
export async function takeLease(redis: Redis, key: string, ms: number, mostMs?: number): Promise<Lease | undefined> {
  const token = randomBytes(8).toString('hex');
  if ((await runScript(redis, TAKE, { lease: key, token, ms, mostMs: mostMs ?? '' })) !== 1) return undefined;
  return {
    renew: async (again) => (await runScript(redis, RENEW, { lease: key, token, ms: again })) === 1,
    free: async () => void (await runScript(redis, FREE, { lease: key, token })),
  };
}
