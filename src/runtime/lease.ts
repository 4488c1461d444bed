// Leases in Redis: one process of the fleet does a thing at a time, and another takes over when it dies.
// What is done under a lease is not known here. Whoever was frozen may have lost its lease without knowing.
import { randomBytes } from 'node:crypto';
import { run, type Redis, type Script } from './redis.ts';

export interface Lease {
  /** Keeps it for `ms` more. Answers whether it is still ours. */
  renew(ms: number): Promise<boolean>;
  /** Gives it back if it is still ours. */
  free(): Promise<void>;
}

/**
 * Takes the lease, or tells that it is ours already: a command is sent again when its answer was lost. One without an end,
 * or with a later one than ARGV[3] allows, is nobody's.
 */
const TAKE: Script = {
  name: 'take_lease',
  keys: 1,
  lua: `
    local left = redis.call('PTTL', KEYS[1])
    if ARGV[3] ~= '' and (left == -1 or left > tonumber(ARGV[3])) then redis.call('DEL', KEYS[1]) end
    if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return 1 end
    return redis.pcall('GET', KEYS[1]) == ARGV[1] and 1 or 0`,
};

const RENEW: Script = {
  name: 'renew_lease',
  keys: 1,
  lua: `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
};

const FREE: Script = {
  name: 'free_lease',
  keys: 1,
  lua: `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])`,
};

/**
 * The lease of this name for `ms`, or undefined when another process has it. `key` is `redisKeys().lease(name)`; with
 * `mostMs` a lease that would be kept for longer than that was put there by nobody of ours, and does not count.
 */
export async function takeLease(redis: Redis, key: string, ms: number, mostMs?: number): Promise<Lease | undefined> {
  const token = randomBytes(8).toString('hex');
  if ((await run(redis, TAKE, [key, token, ms, mostMs ?? ''])) !== 1) return undefined;
  return {
    renew: async (again) => (await run(redis, RENEW, [key, token, again])) === 1,
    free: async () => void (await run(redis, FREE, [key, token])),
  };
}
