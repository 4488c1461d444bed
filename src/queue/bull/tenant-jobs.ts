// Jobs of one tenant found and removed, wherever in a queue they are: waiting, delayed, parked, stalled or dead. For a tenant
// that leaves. A job that a worker has is left to it: it ends by itself, and is found again as a dead letter.
import { QUEUE_NAMES, type QueueName } from '../../runtime/names.ts';
import { queueKeys, run, type QueueKeys, type Redis, type RedisKeys, type Script } from '../../runtime/redis.ts';
import { BACKLOG } from '../backlog/backlog.ts';
import { queueKey } from './queue-keys.ts';

/** `busy`: a worker has it. `gone`: somebody was faster. */
export type JobEnd = 'job' | 'letter' | 'busy' | 'gone';

export interface TenantJob {
  readonly queue: QueueName;
  readonly jobId: string;
  /** As the entry says it; empty where that is no text. */
  readonly kind: string;
}

/**
 * ARGV: the tenant, then keys of any kind. Answers which of them are entries of its jobs, each with its kind: what others have
 * put there too. Of what is no JSON counts what the text says.
 */
const OWN: Script = {
  name: 'tenant_jobs',
  keys: 1,
  lua: `
    local function tenant_in(data)
      local is_json, parsed = pcall(cjson.decode, data)
      if not is_json then return string.match(data, '"tenant"%s*:%s*"([^"]*)"'), '' end
      if type(parsed) ~= 'table' then return nil end
      return parsed.tenant, type(parsed.kind) == 'string' and parsed.kind or ''
    end
    local own = {}
    for at = 2, #ARGV do
      local data = redis.pcall('HGET', ARGV[at], 'data')
      if type(data) == 'string' then
        local tenant, kind = tenant_in(data)
        if tenant == ARGV[1] then own[#own + 1] = {at - 2, kind} end
      end
    end
    return own`,
};

/** So many at once that a script takes some milliseconds. */
const AT_ONCE = 100;

/** Those of the keys that are entries of the tenant's jobs. */
export async function tenantJobs(
  redis: Redis,
  keys: RedisKeys,
  tenant: string,
  names: readonly string[],
): Promise<TenantJob[]> {
  const starts = QUEUE_NAMES.map((queue) => ({ queue, start: queueKey(queueKeys(keys, queue), '') }));
  const entries = names.filter((name) => starts.some(({ start }) => name.startsWith(start)));
  const found: TenantJob[] = [];
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    const batch = entries.slice(from, from + AT_ONCE);
    const own = (await run(redis, OWN, [keys.prefix, tenant, ...batch])) as [number, string][];
    for (const [at, kind] of own) {
      const name = batch[at] ?? '';
      const place = starts.find(({ start }) => name.startsWith(start));
      if (place) found.push({ queue: place.queue, jobId: name.slice(place.start.length), kind });
    }
  }
  return found;
}

const LISTS = ['wait', 'paused', 'active'] as const;
const SETS = ['failed', 'prioritized', 'delayed', 'completed'] as const;
const BESIDE = ['logs', 'dependencies', 'processed', 'failed', 'unsuccessful'] as const;

/**
 * KEYS: entry, its lock, marker and note, the backlog's jobs and bytes, the set of what may have stalled, then sets, the
 * failed one first, then lists, then what BullMQ keeps beside the entry. ARGV: id, and whether to remove it.
 */
const REMOVE: Script = {
  name: 'tenant_job_remove',
  keys: 7 + SETS.length + LISTS.length + BESIDE.length,
  lua: `${BACKLOG}
    if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
    if redis.call('EXISTS', KEYS[2]) == 1 then return 'busy' end
    local kind = redis.call('ZSCORE', KEYS[8], ARGV[1]) and 'letter' or 'job'
    if ARGV[2] ~= '1' then return kind end
    entry_leaves(KEYS[5], KEYS[6], KEYS[1])
    local places = 0
    for at = 8, ${7 + SETS.length} do places = places + redis.call('ZREM', KEYS[at], ARGV[1]) end
    if places == 0 then
      for at = ${8 + SETS.length}, ${7 + SETS.length + LISTS.length} do redis.call('LREM', KEYS[at], 0, ARGV[1]) end
    end
    redis.call('SREM', KEYS[7], ARGV[1])
    redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
    for at = ${8 + SETS.length + LISTS.length}, #KEYS do redis.call('DEL', KEYS[at]) end
    return kind`,
};

/** Removes a job with all that is kept of it, or with `isDry` only tells what it is. What it named in S3 stays. */
export async function removeTenantJob(
  redis: Redis,
  keys: RedisKeys,
  { queue, jobId }: TenantJob,
  isDry: boolean,
): Promise<JobEnd> {
  const own: QueueKeys = queueKeys(keys, queue);
  const entry = queueKey(own, jobId);
  const names = [
    entry,
    `${entry}:lock`,
    keys.marker(jobId),
    keys.note(jobId),
    keys.backlogJobs,
    keys.backlogBytes,
    ...['stalled', ...SETS, ...LISTS].map((name) => queueKey(own, name)),
    ...BESIDE.map((suffix) => `${entry}:${suffix}`),
  ];
  return (await run(redis, REMOVE, [...names, jobId, isDry ? 0 : 1])) as JobEnd;
}
