// Fair share: Lua functions for start-time fair queuing over tenants. A job's priority is its start in a virtual time.
// The current virtual time is that of the job that is taken next; BullMQ takes the lowest priority first.
import type { QueueKeys } from '../../runtime/redis.ts';
import { BACKLOG_KEYS, backlogKeys } from '../backlog/backlog.ts';
import { VALUES } from '../lua-values.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** BullMQ's highest priority; the lower 32 bits of its score are a counter. */
export const LAST_PRIORITY = 2 ** 21 - 1;

/**
 * Jobs of a tenant that share a priority, which makes the range last longer. A new tenant waits for at most this many jobs
 * of each waiting tenant. Beside one large tenant the values 1, 4 and 8 measure alike.
 */
export const JOBS_PER_TURN = 4;

/** The keys of every script that uses FAIR_SHARE and BACKLOG; fairKeys() has their values. */
export const FAIR_KEYS = ['prioritized', 'fairClock', 'fairTenants', ...BACKLOG_KEYS] as const;

export const fairKeys = (keys: QueueKeys): Readonly<Record<(typeof FAIR_KEYS)[number], string>> => ({
  prioritized: queueKey(keys, 'prioritized'),
  fairClock: keys.fairClock,
  fairTenants: keys.fairTenants,
  ...backlogKeys(keys),
});

/**
 * Virtual time counts jobs: a priority is JOBS_PER_TURN of them, and `base` is the time of priority 1. `now` never goes
 * back, and `high` is the last time given out. A priority beyond `high` is from before a restart of the time, when the queue
 * was empty. During a rebase by `offset`, priorities above `offset` are not moved yet, and new ones are at most `offset`.
 *
 * - `fair_open(prioritized, clock, tenants)`: the current state. If no job waits, virtual time restarts.
 * - `fair_take(fair, tenant)`: the priority of the tenant's next job
 * - `fair_close(fair)`: writes the state
 */
export const FAIR_SHARE = `${VALUES}
  local function fair_open(prioritized, clock, tenants)
    local fair = { clock = clock, tenants = tenants, finishes = {}, base = 0, now = 0, high = 0, offset = 0 }
    local head = redis.call('ZRANGE', prioritized, 0, 0, 'WITHSCORES')
    if not head[2] then
      redis.call('UNLINK', clock, tenants)
      return fair
    end
    local known = redis.call('HMGET', clock, 'base', 'now', 'high', 'offset')
    fair.base = number_of(known[1])
    fair.high = number_of(known[3])
    fair.offset = number_of(known[4])
    local next = math.floor(number_of(head[2]) / 4294967296)
    if fair.offset > 0 and next > fair.offset then next = next - fair.offset end
    local time = math.min(fair.base + (next - 1) * ${JOBS_PER_TURN}, fair.high)
    fair.now = math.max(number_of(known[2]), time, fair.base)
    return fair
  end
  local function fair_priority(fair, time)
    local last = fair.offset > 0 and fair.offset or ${LAST_PRIORITY}
    return math.max(1, math.min(math.floor((time - fair.base) / ${JOBS_PER_TURN}) + 1, last))
  end
  local function fair_take(fair, tenant)
    local finish = fair.finishes[tenant] or number_of(field_of(fair.tenants, tenant))
    local start = math.max(fair.now, finish)
    fair.finishes[tenant] = start + 1
    local priority = fair_priority(fair, start)
    fair.high = math.max(fair.high, fair.base + (priority - 1) * ${JOBS_PER_TURN})
    return priority
  end
  local function fair_close(fair)
    local whole = function(number) return string.format('%.0f', number) end
    redis.call('HSET', fair.clock, 'base', whole(fair.base), 'now', whole(fair.now), 'high', whole(fair.high))
    for tenant, finish in pairs(fair.finishes) do redis.call('HSET', fair.tenants, tenant, whole(finish)) end
  end`;
