// Backlog: how many jobs each tenant has in the queue (waiting, parked and dead) and about how many bytes they take.
// A job is counted when it is stamped, and leaves the count once, when it is done or discarded; a job has a priority of at
// least 1 if and only if it was counted. Lua pieces and taking back; recounting is recount.ts.
import type { JobData } from '../../jobs/jobs.ts';
import type { QueueName } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis, QueueKeys } from '../../runtime/redis.ts';
import { VALUES } from '../lua-values.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** Redis memory of a job beside its data: hash, options, place in the queue, marker, index entries. */
const ENTRY_BYTES = 1500;

/** What encryption and the content's header add. */
const MESSAGE_BYTES = 600;

/** What a job will about take in Redis, before its content is encrypted. */
export function estimateBytes(bodyBytes: number, inlineBytes: number): number {
  const message = bodyBytes + MESSAGE_BYTES;
  return ENTRY_BYTES + (message <= inlineBytes ? Math.ceil((message * 4) / 3) : 0);
}

/** What is looked at of an entry's data: the producer writes the tenant first, and others may write megabytes. */
const LOOKED_AT = 1000;

/**
 * - `tenant_of(data)`: of a job's data; '-' when it names none
 * - `is_counted_id(id)`: jobs with ids that are not ours are never counted
 * - `counter_add(counters, name, by)`: answers the sum; a counter that is no number begins anew
 * - `backlog_join(jobs, bytes, tenant, size)`, `backlog_leave(jobs, bytes, tenant, size)`: without `size` the mean leaves, so
 *   that estimates never add up to a drift
 * - `entry_leaves(jobs, bytes, entry)`, `entry_returns(jobs, bytes, entry)`: the job of this entry, once, whoever asks
 */
export const BACKLOG = `${VALUES}
  local function tenant_of(data)
    return string.match(string.sub(data or '', 1, ${LOOKED_AT}), '"tenant":"([a-zA-Z0-9_=-]+)"') or '-'
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
  local function entry_leaves(jobs, bytes, entry)
    if number_of(field_of(entry, 'priority')) < 1 then return 0 end
    if redis.call('HSETNX', entry, 'uncounted', '1') == 0 then return 0 end
    backlog_leave(jobs, bytes, tenant_of(field_of(entry, 'data')))
    return 1
  end
  local function entry_returns(jobs, bytes, entry)
    if redis.pcall('HDEL', entry, 'uncounted') ~= 1 then return 0 end
    local data = field_of(entry, 'data') or ''
    backlog_join(jobs, bytes, tenant_of(data), size_of(data))
    return 1
  end`;

/** What a job takes of its tenant's share, and the queue that it goes into. */
export interface ReservationRequest {
  readonly queue: QueueName;
  readonly tenant: JobData['tenant'];
  readonly bytes: number;
}

/**
 * A marker tells whether its job is counted: who asks with its key next counts it if it is not. Its fingerprint goes with the
 * request that was refused.
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

/** Takes a job out of the count that was stamped and is certainly not in the queue. `hasMarker`: it was stamped with its marker. */
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
