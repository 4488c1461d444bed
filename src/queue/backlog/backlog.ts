// Backlog: Lua functions that count the jobs of each tenant (waiting, parked and dead), and estimate their bytes in Redis.
// A job is counted when it is reserved, and leaves the count once, when it is done or discarded.
// A job has a priority of at least 1 if and only if it was counted.
import type { JobData } from '../../jobs/jobs.ts';
import type { QueueName } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis, QueueKeys, RedisKeys } from '../../runtime/redis.ts';
import { VALUES } from '../lua-values.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** Redis memory of a job beside its data: hash, options, queue entry, marker, index entries. */
const ENTRY_BYTES = 1500;

/** Added by encryption and by the content's header. */
const MESSAGE_BYTES = 600;

/** Estimates a job's bytes in Redis before its content is encrypted. */
export function estimateBytes(bodyBytes: number, inlineBytes: number): number {
  const message = bodyBytes + MESSAGE_BYTES;
  return ENTRY_BYTES + (message <= inlineBytes ? Math.ceil((message * 4) / 3) : 0);
}

/** Keys of scripts in which jobs join or leave the backlog; backlogKeys() has their values. */
export const BACKLOG_KEYS = ['backlogJobs', 'backlogBytes', 'platformJobs', 'platformBytes'] as const;

export const backlogKeys = ({
  backlogJobs,
  backlogBytes,
  platformJobs,
  platformBytes,
}: RedisKeys): Readonly<Record<(typeof BACKLOG_KEYS)[number], string>> => ({
  backlogJobs,
  backlogBytes,
  platformJobs,
  platformBytes,
});

/** Bytes of an entry's data that are searched: the producer writes the tenant first, and invalid data may have megabytes. */
export const SEARCHED_BYTES = 1000;

/**
 * - `tenant_of(data)`: the tenant in a job's data; '-' if there is none
 * - `is_counted_id(id)`: jobs with ids that sealdex did not make are never counted
 * - `counter_add(counters, name, by)`: returns the sum; a counter that is not a number restarts at `by`
 * - `backlog_join(jobs, bytes, tenant, size)`, `backlog_leave(jobs, bytes, tenant, size)`: without `size` the mean is
 *   subtracted, so that estimates do not add up to a drift
 * - `platform_size_of(opts)`: bytes of content under the platform key, from the options of the job; nil for other content
 * - `platform_join(entry)`: counts such content of the job, once. Needs BACKLOG_KEYS, as the next two.
 * - `entry_leaves(entry)`, `entry_returns(entry)`: the job of this entry, once for any number of calls
 */
export const BACKLOG = `${VALUES}
  local function tenant_of(data)
    return string.match(string.sub(data or '', 1, ${SEARCHED_BYTES}), '"tenant":"([a-zA-Z0-9_=-]+)"') or '-'
  end
  local function is_counted_id(id)
    return #id == 33 and string.match(id, '^j%x+$') ~= nil
  end
  local function size_of(data)
    return #data + ${ENTRY_BYTES - 250}
  end
  local function counter_add(counters, name, by)
    local sum = redis.pcall('HINCRBY', counters, name, by)
    if type(sum) == 'number' then return sum end
    redis.call('HSET', counters, name, by)
    return tonumber(by)
  end
  local function backlog_join(jobs, bytes, tenant, size)
    counter_add(jobs, tenant, 1)
    counter_add(bytes, tenant, size)
  end
  local function backlog_leave(jobs, bytes, tenant, size)
    local count = number_of(field_of(jobs, tenant))
    if count <= 1 then
      redis.call('HDEL', jobs, tenant)
      redis.call('HDEL', bytes, tenant)
      return
    end
    local sum = number_of(field_of(bytes, tenant))
    redis.call('HINCRBY', jobs, tenant, -1)
    redis.call('HSET', bytes, tenant, string.format('%.0f', math.max(0, sum - (size or math.floor(sum / count)))))
  end
  local function platform_size_of(opts)
    local size = string.match(opts or '', '"platformKeyBytes":(%d+)')
    return size and number_of(size)
  end
  local function platform_join(entry)
    local size = platform_size_of(field_of(entry, 'opts'))
    if not size or field_of(entry, 'uncounted') then return end
    if redis.call('HSETNX', entry, 'platformCounted', '1') == 0 then return end
    backlog_join(platformJobs, platformBytes, tenant_of(field_of(entry, 'data')), size)
  end
  local function entry_leaves(entry)
    if number_of(field_of(entry, 'priority')) < 1 then return end
    if redis.call('HSETNX', entry, 'uncounted', '1') == 0 then return end
    local tenant = tenant_of(field_of(entry, 'data'))
    backlog_leave(backlogJobs, backlogBytes, tenant)
    if redis.call('HDEL', entry, 'platformCounted') == 0 then return end
    backlog_leave(platformJobs, platformBytes, tenant, platform_size_of(field_of(entry, 'opts')))
  end
  local function entry_returns(entry)
    if redis.pcall('HDEL', entry, 'uncounted') ~= 1 then return end
    local data = field_of(entry, 'data') or ''
    backlog_join(backlogJobs, backlogBytes, tenant_of(data), size_of(data))
    platform_join(entry)
  end`;

export interface ReservationRequest {
  readonly queue: QueueName;
  readonly tenant: JobData['tenant'];
  readonly bytes: number;
}

/**
 * A marker holds whether its job is counted; the next request with its key counts it if it is not. The fingerprint of the
 * rejected request is removed.
 */
const TAKE_BACK = script({
  name: 'take_back',
  keys: ['backlogJobs', 'backlogBytes', 'marker', 'entry'],
  args: ['tenant', 'bytes', 'hasMarker'],
  lua: `${BACKLOG}
  if hasMarker == '1' then
    if redis.call('EXISTS', entry) == 1 then return 0 end
    redis.call('HDEL', marker, 'fingerprint')
    if redis.call('HDEL', marker, 'counted') == 0 then return 0 end
  end
  backlog_leave(backlogJobs, backlogBytes, tenant, tonumber(bytes))
  return 1`,
});

/** Gives back the reservation of a job that is certainly not in the queue. `hasMarker`: it was reserved with `mark`. */
export async function takeBack(
  redis: Redis,
  keys: QueueKeys,
  jobId: string,
  { tenant, bytes }: Omit<ReservationRequest, 'queue'>,
  hasMarker: boolean,
): Promise<void> {
  await runScript(redis, TAKE_BACK, {
    backlogJobs: keys.backlogJobs,
    backlogBytes: keys.backlogBytes,
    marker: keys.marker(jobId),
    entry: queueKey(keys, jobId),
    tenant,
    bytes,
    hasMarker: hasMarker ? 1 : 0,
  });
}

const PLATFORM_JOIN = script({
  name: 'platform_join',
  keys: [...BACKLOG_KEYS, 'entry'],
  lua: `${BACKLOG} platform_join(entry)`,
});

/** Counts a job that was just added as one with content under the platform key, unless it has ended or was counted. */
export async function countPlatformContent(redis: Redis, keys: QueueKeys, jobId: string): Promise<void> {
  await runScript(redis, PLATFORM_JOIN, { ...backlogKeys(keys), entry: queueKey(keys, jobId) });
}
