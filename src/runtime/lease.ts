// Leases in Redis: one process of the fleet does a task at a time, and another takes over if it dies. A process that was frozen
// may have lost its lease without noticing.
import { randomBytes } from 'node:crypto';
import { runScript, script } from './lua-script.ts';
import type { Redis } from './redis.ts';

export interface Lease {
  /** Extends the lease by `ms`. Returns false if it is lost. */
  renew(ms: number): Promise<boolean>;
  /** Releases the lease if this process still holds it. */
  free(): Promise<void>;
}

/**
 * Takes the lease. Also succeeds if this process already holds it, since a command is sent again if its response was lost. A
 * lease without an expiry, or with one later than `maxMs`, is invalid and replaced.
 */
const TAKE = script({
  name: 'take_lease',
  keys: ['lease'],
  args: ['token', 'ms', 'maxMs'],
  lua: `
    local left = redis.call('PTTL', lease)
    if maxMs ~= '' and (left == -1 or left > tonumber(maxMs)) then redis.call('DEL', lease) end
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
 * Takes the lease for `ms`. Returns undefined if another process holds it. `key` is `redisKeys().lease(name)`. With `maxMs`, a
 * lease that lasts longer was not written by sealdex and does not count.
 */
export async function takeLease(redis: Redis, key: string, ms: number, maxMs?: number): Promise<Lease | undefined> {
  const token = randomBytes(8).toString('hex');
  if ((await runScript(redis, TAKE, { lease: key, token, ms, maxMs: maxMs ?? '' })) !== 1) return undefined;
  return {
    renew: async (again) => (await runScript(redis, RENEW, { lease: key, token, ms: again })) === 1,
    free: async () => void (await runScript(redis, FREE, { lease: key, token })),
  };
}
