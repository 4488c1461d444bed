// Rebase: moves all priorities down when virtual time has passed half of BullMQ's range, so that the range never runs out.
// Works in batches, lowest first; reservations and crashes between batches are harmless.
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis, QueueKeys } from '../../runtime/redis.ts';
import { FAIR_KEYS, FAIR_SHARE, fairKeys, JOBS_PER_TURN, LAST_PRIORITY } from './fair-share.ts';
import { queueKey } from '../bull/queue-keys.ts';
import { BATCH_JOBS } from './reprioritize.ts';

const HALF = (LAST_PRIORITY + 1) / 2;

/**
 * Returns 1 while jobs are left to move. The offset is at least half of the range, so a moved job is never above it, and a job
 * above it is not moved yet. A job that is added late with an old priority is an outlier, and moved down later.
 */
const REBASE = script({
  name: 'rebase',
  keys: [...FAIR_KEYS, 'entryPrefix'],
  args: ['batch'],
  lua: `${FAIR_SHARE}
  local fair = fair_open(prioritized, fairClock, fairTenants)
  local head = redis.call('ZRANGE', prioritized, 0, 0, 'WITHSCORES')
  if not head[2] then return 0 end
  if fair.offset == 0 then
    local next = math.floor(number_of(head[2]) / 4294967296)
    if next <= ${HALF} or next > fair_priority(fair, fair.high) then return 0 end
    fair.offset = next - 1
    fair.base = fair.base + fair.offset * ${JOBS_PER_TURN}
    fair.now = math.max(fair.now, fair.base)
    fair_close(fair)
    redis.call('HSET', fairClock, 'offset', string.format('%.0f', fair.offset))
  end
  local above = string.format('%.0f', (fair.offset + 1) * 4294967296)
  local old = redis.call('ZRANGEBYSCORE', prioritized, above, '+inf', 'WITHSCORES', 'LIMIT', 0, batch)
  for at = 1, #old, 2 do
    local score = math.max(number_of(old[at + 1]) - fair.offset * 4294967296, 4294967296)
    redis.call('ZADD', prioritized, string.format('%.0f', score), old[at])
    local entry = entryPrefix .. old[at]
    if redis.pcall('HEXISTS', entry, 'priority') == 1 then
      redis.call('HSET', entry, 'priority', math.floor(score / 4294967296))
    end
  end
  if #old / 2 == tonumber(batch) then return 1 end
  redis.call('HDEL', fairClock, 'offset')
  return 0`,
});

/** Starts a rebase if one is due, or does the next batch of a running one. Returns whether jobs are left to move. */
export const rebase = async (redis: Redis, keys: QueueKeys, batch = BATCH_JOBS): Promise<boolean> =>
  (await runScript(redis, REBASE, { ...fairKeys(keys), entryPrefix: queueKey(keys, ''), batch })) === 1;
