// What a job gets before its content is encrypted: a revision, and for an idempotency key a marker.
// One script each, so that two producers never give out the same number or make two jobs of one key.
import type { Clock } from '../clock.ts';
import { SealdexError, type Code } from '../errors.ts';
import { MAX_SKEW_MS, run, type Redis, type RedisKeys, type Script } from '../redis.ts';
import { isEnd, knownCode, type EndState } from './notes.ts';

/**
 * Redis' clock in microseconds, or the last revision + 1 if that is more; `n` revisions from there on. Nothing is
 * written, and nil is the answer, when that is too far from `wall`, the producer's own clock in milliseconds.
 * Numbers are written by %.0f and returned as numbers: tostring would round 16 digits.
 */
const NEXT = `
  local function next_revision(key, n, wall)
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local last = tonumber(redis.call('GET', key) or '0')
    local first = math.max(now, last + 1)
    if math.abs(first - tonumber(wall) * 1000) > ${MAX_SKEW_MS * 1000} then return nil end
    redis.call('SET', key, string.format('%.0f', first + n - 1))
    return first
  end`;

/** Answers the first revision, or nil. */
const STAMP: Script = {
  name: 'stamp',
  keys: 1,
  lua: `${NEXT}\n return next_revision(KEYS[1], tonumber(ARGV[1]), ARGV[2]) or false`,
};

/** Answers { revision, 0 made now | 1 unconfirmed | 2 confirmed, state, code } of the marker, making it if there is none; or nil. */
const MARK: Script = {
  name: 'mark',
  keys: 2,
  lua: `${NEXT}
  local marker = redis.call('HMGET', KEYS[2], 'revision', 'confirmed', 'state', 'code')
  if marker[1] then
    return { tonumber(marker[1]), marker[2] and 2 or 1, marker[3] or '', marker[4] or '' }
  end
  local revision = next_revision(KEYS[1], 1, ARGV[2])
  if not revision then return false end
  redis.call('HSET', KEYS[2], 'revision', string.format('%.0f', revision))
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
  return { revision, 0, '', '' }`,
};

/** Answers 1 when this call confirmed the marker, 0 when it was confirmed before or is gone. */
const CONFIRM: Script = {
  name: 'confirm',
  keys: 1,
  lua: `if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end return redis.call('HSETNX', KEYS[1], 'confirmed', '1')`,
};

export interface Marker {
  readonly revision: number;
  /** `unconfirmed`: somebody made it and has not (yet) said that the job is in the queue. */
  readonly kind: 'made' | 'unconfirmed' | 'confirmed';
  /** How the job ended, when it has; `unknown` for an end that only another version knows. */
  readonly state?: EndState | 'unknown';
  readonly code?: Code;
}

/** The first of `count` consecutive revisions. @throws SealdexError `CLOCK_SKEW` */
export async function stamp(redis: Redis, keys: RedisKeys, clock: Clock, count: number): Promise<number> {
  const first = await run(redis, STAMP, [keys.revision, count, clock.now()]);
  if (typeof first !== 'number') throw new SealdexError('CLOCK_SKEW');
  return first;
}

/** Finds or makes the marker of an idempotency key, which lives `lifeMs` from its making. @throws SealdexError `CLOCK_SKEW` */
export async function mark(
  redis: Redis,
  keys: RedisKeys,
  clock: Clock,
  jobId: string,
  lifeMs: number,
): Promise<Marker> {
  const found = await run(redis, MARK, [keys.revision, keys.marker(jobId), lifeMs, clock.now()]);
  // A refused marker is not made: who asks again would get its revision as one to go on with.
  if (!Array.isArray(found)) throw new SealdexError('CLOCK_SKEW');
  const [revision, kind, state, code] = found as [number, number, string, string];
  return {
    revision,
    kind: kind === 0 ? 'made' : kind === 1 ? 'unconfirmed' : 'confirmed',
    ...(state === '' ? {} : { state: isEnd(state) ? state : 'unknown' }),
    ...knownCode(code),
  };
}

/** Says that the marker's job is in the queue. Answers whether this call was the first to say so. */
export const confirm = async (redis: Redis, keys: RedisKeys, jobId: string): Promise<boolean> =>
  (await run(redis, CONFIRM, [keys.marker(jobId)])) === 1;
