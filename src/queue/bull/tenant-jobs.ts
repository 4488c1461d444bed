// Jobs of a deleted tenant: finds and removes them in all queues, whether waiting, delayed, parked, stalled or dead.
// A running job is left to its worker: it ends soon, and is found again if it becomes a dead letter.
import { QUEUE_NAMES, type QueueName } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { queueKeys, type QueueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG, BACKLOG_KEYS, backlogKeys } from '../backlog/backlog.ts';
import { queueKey } from './queue-keys.ts';

/** `busy`: a worker runs the job. `gone`: the job was removed concurrently. */
export type JobEnd = 'job' | 'letter' | 'busy' | 'gone';

export interface TenantJob {
  readonly queue: QueueName;
  readonly jobId: string;
  /** From the entry's data; empty if it is not a text. */
  readonly kind: string;
}

/**
 * Returns which of the keys are entries of the tenant's jobs: pairs of index, from 0, and job kind. Includes jobs that other
 * programs added. If the data is not JSON, the tenant is searched in the text.
 */
const OWN = script({
  name: 'tenant_jobs',
  keys: ['...entries'],
  args: ['tenant'],
  lua: `
    local function tenant_in(data)
      local is_json, parsed = pcall(cjson.decode, data)
      if not is_json then return string.match(data, '"tenant"%s*:%s*"([^"]*)"'), '' end
      if type(parsed) ~= 'table' then return nil end
      return parsed.tenant, type(parsed.kind) == 'string' and parsed.kind or ''
    end
    local own = {}
    for at, entry in ipairs(entries) do
      local data = redis.pcall('HGET', entry, 'data')
      if type(data) == 'string' then
        local named, kind = tenant_in(data)
        if named == tenant then own[#own + 1] = {at - 1, kind} end
      end
    end
    return own`,
});

/** Keys per script: one script takes a few milliseconds. */
const CONCURRENCY = 100;

/** Returns the jobs among the keys that belong to the tenant. */
export async function tenantJobs(
  redis: Redis,
  keys: RedisKeys,
  tenant: string,
  names: readonly string[],
): Promise<TenantJob[]> {
  const starts = QUEUE_NAMES.map((queue) => ({ queue, start: queueKey(queueKeys(keys, queue), '') }));
  const entries = names.filter((name) => starts.some(({ start }) => name.startsWith(start)));
  const found: TenantJob[] = [];
  for (let from = 0; from < entries.length; from += CONCURRENCY) {
    const batch = entries.slice(from, from + CONCURRENCY);
    const own = (await runScript(redis, OWN, { entries: batch, tenant })) as [number, string][];
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
const STALLED = 'stalled';
const BESIDE = ['logs', 'dependencies', 'processed', 'failed', 'unsuccessful'] as const;

/** `beside`: other keys of the job that BullMQ may have written. */
const REMOVE = script({
  name: 'tenant_job_remove',
  keys: ['entry', 'lock', 'marker', 'note', ...BACKLOG_KEYS, STALLED, ...SETS, ...LISTS, '...beside'],
  args: ['jobId', 'isDry'],
  lua: `${BACKLOG}
    if redis.call('EXISTS', entry) == 0 then return 'gone' end
    if redis.call('EXISTS', lock) == 1 then return 'busy' end
    local kind = redis.call('ZSCORE', failed, jobId) and 'letter' or 'job'
    if isDry == '1' then return kind end
    entry_leaves(entry)
    local places = 0
    for _, set in ipairs({ ${SETS.join(', ')} }) do places = places + redis.call('ZREM', set, jobId) end
    if places == 0 then
      for _, list in ipairs({ ${LISTS.join(', ')} }) do redis.call('LREM', list, 0, jobId) end
    end
    redis.call('SREM', stalled, jobId)
    redis.call('DEL', entry, marker, note)
    for _, key in ipairs(beside) do redis.call('DEL', key) end
    return kind`,
});

/** Removes a job with all its keys; with `isDry` only returns what it is. Its content in S3 stays. */
export async function removeTenantJob(
  redis: Redis,
  keys: RedisKeys,
  { queue, jobId }: TenantJob,
  isDry: boolean,
): Promise<JobEnd> {
  const own: QueueKeys = queueKeys(keys, queue);
  const entry = queueKey(own, jobId);
  const places = Object.fromEntries([STALLED, ...SETS, ...LISTS].map((name) => [name, queueKey(own, name)]));
  return (await runScript(redis, REMOVE, {
    ...(places as Record<typeof STALLED | (typeof SETS)[number] | (typeof LISTS)[number], string>),
    entry,
    lock: `${entry}:lock`,
    marker: keys.marker(jobId),
    note: keys.note(jobId),
    ...backlogKeys(keys),
    beside: BESIDE.map((suffix) => `${entry}:${suffix}`),
    jobId,
    isDry: isDry ? 1 : 0,
  })) as JobEnd;
}
