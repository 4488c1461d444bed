// Revision counter: the last revision in Redis. A new Redis starts it above all revisions of the one that it replaces.
import { MAX_SKEW_MS } from '../../runtime/clock.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { VALUES } from '../lua-values.ts';

/**
 * Reads the floor of revisions that a previous Redis has left in S3, if any. `leadMs` is its clock minus that of S3 (`storeNow`).
 * @throws SealdexError `STORE_FAILED`
 */
export type ReadFloor = () => Promise<{
  readonly floor?: { readonly revision: number; readonly leadMs: number };
  readonly storeNow: number;
}>;

export interface CounterDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly readFloor: ReadFloor;
}

/** Maximum lead of a revision: clocks of producers and of Redis may differ by half of it. */
const MAX_AHEAD_MS = 2 * MAX_SKEW_MS;

/** Result of a script in a Redis that has assigned no revision. */
const NO_COUNTER = 'NO_COUNTER';

/**
 * `next_revision()`: Redis' clock in microseconds, or the last revision + 1 if that is more. Nil and a reason if there is no last
 * revision, or if the clock or the revision is too far from `now`. A new Redis may start ahead of its clock, so the revision has
 * twice the room. The caller writes it with %.0f and returns it as a number, because tostring would round 16 digits.
 * Needs BACKLOG, the key `lastRevision` and the argument `now`: the producer's clock in milliseconds.
 */
export const NEXT_REVISION = `
  local function next_revision()
    local time = redis.call('TIME')
    local redisMicros = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local producerMicros = tonumber(now) * 1000
    if math.abs(redisMicros - producerMicros) > ${MAX_SKEW_MS * 1000} then return nil, 'CLOCK_SKEW' end
    local last = number_of(redis.call('GET', lastRevision))
    if last <= 0 then return nil, '${NO_COUNTER}' end
    local first = math.max(redisMicros, last + 1)
    if first - producerMicros > ${MAX_AHEAD_MS * 1000} then return nil, 'CLOCK_SKEW' end
    return first
  end`;

/** A revision that is further ahead of Redis' clock was not assigned by sealdex, and would stop all producers. */
const RAISE_LUA = `${VALUES}
  local function raise_revision(lastRevision, revision)
    local now = tonumber(redis.call('TIME')[1]) * 1000000
    if revision > now + ${MAX_AHEAD_MS * 1000} then return 0 end
    if revision <= number_of(redis.call('GET', lastRevision)) then return 0 end
    redis.call('SET', lastRevision, string.format('%.0f', revision))
    return 1
  end`;

/** Sets the counter if there is none: to Redis' clock, or above all revisions that a previous Redis can have assigned. */
const START = script({
  name: 'start_revisions',
  keys: ['lastRevision'],
  args: ['floor', 'aheadMs'],
  lua: `${RAISE_LUA}
    if number_of(redis.call('GET', lastRevision)) > 0 then return 0 end
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
    redis.call('SET', lastRevision, string.format('%.0f', now + tonumber(aheadMs) * 1000))
    return raise_revision(lastRevision, tonumber(floor))`,
});

/** Covers the resolution of S3's time and the interval at which the floor is written. */
const START_MARGIN_MS = 2000;

async function startRevisions({ redis, keys, readFloor }: CounterDeps): Promise<void> {
  const { floor, storeNow } = await readFloor();
  const [seconds, micros] = await runCommand(redis.time());
  const leadMs = Number(seconds) * 1000 + Number(micros) / 1000 - storeNow;
  // The clock of the previous Redis now, if it was ahead of the clock of this one.
  const aheadMs = floor ? Math.min(MAX_AHEAD_MS, Math.max(0, floor.leadMs - leadMs)) + START_MARGIN_MS : 0;
  const above = floor ? floor.revision + START_MARGIN_MS * 1000 : 0;
  await runScript(redis, START, { lastRevision: keys.revision, floor: above, aheadMs: Math.ceil(aheadMs) });
}

/** Runs a script that assigns revisions, again after the counter of a new Redis was set. */
export async function withCounter(deps: CounterDeps, run: () => Promise<unknown>): Promise<unknown> {
  const result = await run();
  if (result !== NO_COUNTER) return result;
  await startRevisions(deps);
  return run();
}

const RAISE = script({
  name: 'raise_revision',
  keys: ['lastRevision'],
  args: ['revision'],
  lua: `${RAISE_LUA}
    if number_of(redis.call('GET', lastRevision)) <= 0 then return '${NO_COUNTER}' end
    return raise_revision(lastRevision, tonumber(revision))`,
});

/** Makes the next revision higher than this one, which was assigned before. */
export async function raiseRevision(deps: CounterDeps, revision: number): Promise<void> {
  await withCounter(deps, () => runScript(deps.redis, RAISE, { lastRevision: deps.keys.revision, revision }));
}
