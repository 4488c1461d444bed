// New priorities for jobs in the queue: delayed jobs that return, replayed dead letters, and jobs with a priority from before
// a restart of virtual time.
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis, QueueKeys } from '../../runtime/redis.ts';
import { BACKLOG } from '../backlog/backlog.ts';
import { FAIR_KEYS, FAIR_SHARE, fairKeys } from './fair-share.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** Jobs per script, so that no script blocks Redis for long. */
export const BATCH_JOBS = 500;

const REPRIORITIZE_KEYS = [...FAIR_KEYS, 'entryPrefix'] as const;

/**
 * BullMQ puts a job back by the priority in its entry, so only that must change.
 * - `reprioritize(id)`: returns the new priority; nil if the job does not exist or is not a job. A job without a priority was
 *   not added by the producer, and is counted from now on.
 * - `is_fair(id)`: whether the priority was given out and is not past
 */
const REPRIORITIZE_LUA = `${FAIR_SHARE}${BACKLOG}
  local fair = fair_open(prioritized, fairClock, fairTenants)
  local function is_fair(id)
    local priority = number_of(field_of(entryPrefix .. id, 'priority'))
    return priority >= fair_priority(fair, fair.now) and priority <= fair_priority(fair, fair.high)
  end
  local function reprioritize(id)
    local entry = entryPrefix .. id
    local data = field_of(entry, 'data')
    if not data then return nil end
    local tenant = tenant_of(data)
    local is_new = number_of(field_of(entry, 'priority')) < 1
    if is_new and is_counted_id(id) then backlog_join(backlogJobs, backlogBytes, tenant, size_of(data)) end
    local priority = fair_take(fair, tenant)
    redis.call('HSET', entry, 'priority', priority)
    return priority
  end`;

const REPRIORITIZE = script({
  name: 'reprioritize',
  keys: REPRIORITIZE_KEYS,
  args: ['...ids'],
  lua: `${REPRIORITIZE_LUA}
  for _, id in ipairs(ids) do reprioritize(id) end
  fair_close(fair)`,
});

/** Returns how many jobs it read. A job with a fair priority keeps it, so that a second pass costs its tenant nothing. */
const REPRIORITIZE_DUE = script({
  name: 'reprioritize_due',
  keys: [...REPRIORITIZE_KEYS, 'delayed'],
  args: ['lastScore', 'from', 'batch'],
  lua: `${REPRIORITIZE_LUA}
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', lastScore, 'LIMIT', from, batch)
  for _, id in ipairs(due) do
    if not is_fair(id) then reprioritize(id) end
  end
  if #due > 0 then fair_close(fair) end
  return #due`,
});

/**
 * Returns how many jobs it read. Lowest first, which keeps their order. Skipped during a rebase, when high priorities are
 * jobs that are not moved yet.
 */
const SWEEP = script({
  name: 'sweep_outliers',
  keys: REPRIORITIZE_KEYS,
  args: ['batch'],
  lua: `${REPRIORITIZE_LUA}
  if fair.offset > 0 then return 0 end
  local above = string.format('%.0f', (fair_priority(fair, fair.high) + 1) * 4294967296)
  local outliers = redis.call('ZRANGEBYSCORE', prioritized, above, '+inf', 'WITHSCORES', 'LIMIT', 0, batch)
  for at = 1, #outliers, 2 do
    local priority = reprioritize(outliers[at])
    if priority then
      local score = priority * 4294967296 + number_of(outliers[at + 1]) % 4294967296
      redis.call('ZADD', prioritized, string.format('%.0f', score), outliers[at])
    end
  end
  if #outliers > 0 then fair_close(fair) end
  return #outliers / 2`,
});

/** Returns the next cursor. A tenant whose finish time is past is served like a new tenant. */
const FORGET = script({
  name: 'forget_tenants',
  keys: FAIR_KEYS,
  args: ['cursor', 'batch'],
  lua: `${FAIR_SHARE}
  local fair = fair_open(prioritized, fairClock, fairTenants)
  local page = redis.call('HSCAN', fairTenants, cursor, 'COUNT', batch)
  for at = 1, #page[2], 2 do
    if number_of(page[2][at + 1]) <= fair.now then redis.call('HDEL', fairTenants, page[2][at]) end
  end
  if redis.call('EXISTS', fairClock) == 1 then fair_close(fair) end
  return page[1]`,
});

const reprioritizeKeys = (keys: QueueKeys): Readonly<Record<(typeof REPRIORITIZE_KEYS)[number], string>> => ({
  ...fairKeys(keys),
  entryPrefix: queueKey(keys, ''),
});

/** Gives delayed jobs and dead letters that are about to return new priorities, in this order. */
export async function reprioritize(redis: Redis, keys: QueueKeys, jobIds: readonly string[]): Promise<void> {
  for (let at = 0; at < jobIds.length; at += BATCH_JOBS) {
    await runScript(redis, REPRIORITIZE, { ...reprioritizeKeys(keys), ids: jobIds.slice(at, at + BATCH_JOBS) });
  }
}

/**
 * Gives new priorities to those jobs of a page that are due until `untilMs` and whose priorities are past.
 * Returns how many jobs it read.
 */
export async function reprioritizeDue(redis: Redis, keys: QueueKeys, untilMs: number, from: number): Promise<number> {
  // BullMQ's score of a delayed job: the time in milliseconds, then twelve bits as a counter.
  const lastScore = (untilMs + 1) * 4096 - 1;
  return (await runScript(redis, REPRIORITIZE_DUE, {
    ...reprioritizeKeys(keys),
    delayed: queueKey(keys, 'delayed'),
    lastScore,
    from,
    batch: BATCH_JOBS,
  })) as number;
}

/** Moves down a batch of waiting jobs with priorities from before the restart of virtual time. Returns how many. */
export const sweepOutliers = async (redis: Redis, keys: QueueKeys): Promise<number> =>
  (await runScript(redis, SWEEP, { ...reprioritizeKeys(keys), batch: BATCH_JOBS })) as number;

/** Deletes the state of tenants without waiting jobs, about one batch. Returns the next cursor, '0' at the end. */
export const forgetTenants = async (redis: Redis, keys: QueueKeys, cursor: string): Promise<string> =>
  (await runScript(redis, FORGET, { ...fairKeys(keys), cursor, batch: BATCH_JOBS })) as string;
