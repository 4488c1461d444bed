// Fresh priorities for jobs that are in the queue already: those that come back after a delay, dead letters that are sent
// again, and those whose priority is from before virtual time started anew.
// What a priority is fair-share.ts knows; when it is time fair-share-maintenance.ts.
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis, QueueKeys } from '../../runtime/redis.ts';
import { BACKLOG } from '../backlog/backlog.ts';
import { FAIR_KEYS, FAIR_SHARE, fairKeys } from './fair-share.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** Jobs that one script looks at, so that none keeps Redis for long. */
export const BATCH_JOBS = 500;

const RESTAMPING_KEYS = [...FAIR_KEYS, 'entryPrefix'] as const;

/**
 * BullMQ puts a job back by the priority in its entry, so that is all that must change.
 * - `reprioritize(id)`: answers the fresh priority, nil for a job that is gone or no job. One that had none comes from past the producer
 *   and is counted from now on.
 * - `is_fair(id)`: whether the priority is one that was given out and is not past
 */
const RESTAMPING = `${FAIR_SHARE}${BACKLOG}
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

const RESTAMP = script({
  name: 'reprioritize',
  keys: RESTAMPING_KEYS,
  args: ['...ids'],
  lua: `${RESTAMPING}
  for _, id in ipairs(ids) do reprioritize(id) end
  fair_close(fair)`,
});

/** Answers how many it looked at. One with a fair priority keeps it, so that looking twice costs its tenant nothing. */
const RESTAMP_DUE = script({
  name: 'restamp_due',
  keys: [...RESTAMPING_KEYS, 'delayed'],
  args: ['lastScore', 'from', 'batch'],
  lua: `${RESTAMPING}
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', lastScore, 'LIMIT', from, batch)
  for _, id in ipairs(due) do
    if not is_fair(id) then reprioritize(id) end
  end
  if #due > 0 then fair_close(fair) end
  return #due`,
});

/**
 * Answers how many it moved. Lowest first, which keeps their order. While the priorities move down, what is high is just
 * not moved yet.
 */
const SWEEP = script({
  name: 'sweep_outliers',
  keys: RESTAMPING_KEYS,
  args: ['batch'],
  lua: `${RESTAMPING}
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

/** Answers where to go on. A tenant whose finish is past is served like one that nobody knows. */
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

const restampingKeys = (keys: QueueKeys): Readonly<Record<(typeof RESTAMPING_KEYS)[number], string>> => ({
  ...fairKeys(keys),
  entryPrefix: queueKey(keys, ''),
});

/** Gives delayed jobs and dead letters, which are about to be sent back, fresh priorities in this order. */
export async function reprioritize(redis: Redis, keys: QueueKeys, jobIds: readonly string[]): Promise<void> {
  for (let at = 0; at < jobIds.length; at += BATCH_JOBS) {
    await runScript(redis, RESTAMP, { ...restampingKeys(keys), ids: jobIds.slice(at, at + BATCH_JOBS) });
  }
}

/**
 * Gives a page of the delayed jobs that are due until then fresh priorities, where theirs are past. Answers how many it
 * looked at.
 */
export async function restampDue(redis: Redis, keys: QueueKeys, untilMs: number, from: number): Promise<number> {
  // BullMQ's score of a delayed job: the time, and twelve bits that tell jobs of one millisecond apart.
  const lastScore = (untilMs + 1) * 4096 - 1;
  return (await runScript(redis, RESTAMP_DUE, {
    ...restampingKeys(keys),
    delayed: queueKey(keys, 'delayed'),
    lastScore,
    from,
    batch: BATCH_JOBS,
  })) as number;
}

/** Moves a batch of waiting jobs down whose priorities nobody gave out since time started anew. Answers how many. */
export const sweepOutliers = async (redis: Redis, keys: QueueKeys): Promise<number> =>
  (await runScript(redis, SWEEP, { ...restampingKeys(keys), batch: BATCH_JOBS })) as number;

/** Drops tenants that have nothing waiting, about a batch of all from the cursor on. Answers the next cursor, '0' at the end. */
export const forgetTenants = async (redis: Redis, keys: QueueKeys, cursor: string): Promise<string> =>
  (await runScript(redis, FORGET, { ...fairKeys(keys), cursor, batch: BATCH_JOBS })) as string;
