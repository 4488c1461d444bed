// Cancellation: removes jobs that wait, are retried or are parked, each from Redis and its tenant's backlog in one step, then
// their content from S3. The removal from BullMQ's lists decides, so a job is never both run and canceled.
import type { Clock } from '../../runtime/clock.ts';
import type { Code } from '../../runtime/errors.ts';
import { intakePlaceOf, isNewPlace, type IntakePlace } from '../../runtime/intake-key.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG, BACKLOG_KEYS, backlogKeys } from '../backlog/backlog.ts';
import { deleteRemovals, REMOVALS } from './intake-removals.ts';
import { listJobs, type JobFilter, type UnfinishedJob } from './job-list.ts';
import { queueKey } from './queue-keys.ts';

/** Kinds of jobs that can be canceled. Deletions are canceled only by name. */
export type CancelableKind = 'index' | 'upload' | 'delete';

/** Selects the jobs of a tenant to cancel. */
export interface CancelFilter {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Only jobs of this corpus. */
  readonly corpus?: string | undefined;
  /** Only jobs of this kind; without it, index and upload jobs. */
  readonly kind?: CancelableKind | undefined;
  /** Only parked jobs. */
  readonly state?: 'parked' | undefined;
  /** Only jobs that were queued before this time: Unix time in milliseconds. */
  readonly queuedBefore?: number | undefined;
}

/** Number of jobs that a filter selects. */
export interface CancelableJobs {
  /** By kind: jobs that can be canceled. */
  readonly kinds: ReadonlyMap<CancelableKind, number>;
  /** Jobs that a worker is running. They are not canceled. */
  readonly active: number;
}

/** Result of canceling jobs. */
export interface Canceled {
  /** Number of jobs that were canceled. */
  readonly canceled: number;
  /** Number of jobs that a worker was running. They were not canceled. */
  readonly active: number;
  /** Number of canceled jobs whose content is still in S3. It is deleted later. */
  readonly contentLeft: number;
}

/** Options of `cancelJobs`. */
export interface CancelOptions {
  /** Ends the call between two jobs. The result counts those that were canceled. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the counts so far. */
  readonly onProgress?: ((canceled: Canceled) => void) | undefined;
}

export interface CancelDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly noteLifeMs: number;
}

const CANCELED: Code = 'JOB_CANCELED';
const DEFAULT_KINDS: readonly string[] = ['index', 'upload'] satisfies CancelableKind[];
const CONCURRENCY = 50;

const SETS = ['delayed', 'prioritized'] as const;
const LISTS = ['wait', 'paused'] as const;
const BESIDE = ['logs', 'dependencies', 'processed', 'failed', 'unsuccessful'];

/**
 * Returns false for a job that a worker has taken or that is gone, otherwise the name of its content in S3, which is then
 * a pending removal, or an empty text. `ZREM` comes first: Redis then accepts the rest of the script when its memory is full.
 */
const CANCEL = script({
  name: 'job_cancel',
  keys: ['entry', 'note', 'marker', ...BACKLOG_KEYS, 'removals', ...SETS, ...LISTS, '...beside'],
  args: ['jobId', 'text', 'lifeMs', 'code', 'parkedPrefix', 'installation'],
  lua: `${BACKLOG}${REMOVALS}
    local data = field_of(entry, 'data')
    if not data then return false end
    local places = 0
    for _, set in ipairs({ ${SETS.join(', ')} }) do places = places + redis.call('ZREM', set, jobId) end
    if places == 0 then
      for _, list in ipairs({ ${LISTS.join(', ')} }) do places = places + redis.call('LREM', list, 0, jobId) end
    end
    if places == 0 then return false end
    local gate = string.match(field_of(entry, 'parked') or '', '(%S+)$')
    if gate then redis.pcall('ZREM', parkedPrefix .. gate, jobId) end
    local removal = removal_of(data, installation, jobId)
    if removal then removal_add(removals, removal) end
    entry_leaves(entry)
    redis.call('SET', note, text, 'PX', lifeMs)
    if redis.call('EXISTS', marker) == 1 then redis.pcall('HSET', marker, 'state', 'dead', 'code', code) end
    redis.call('DEL', entry, unpack(beside))
    return removal or ''`,
});

/** The selected jobs, and those of them that a worker is running. */
async function* selected(deps: CancelDeps, queues: Queues, filter: CancelFilter): AsyncGenerator<UnfinishedJob> {
  const { tenant, corpus, kind, state, queuedBefore } = filter;
  const wanted: JobFilter = { tenant, corpus, kind, state, queuedBefore: queuedBefore ?? deps.clock.now() + 1 };
  for await (const job of listJobs(queues, wanted))
    if (kind !== undefined || DEFAULT_KINDS.includes(job.kind ?? '')) yield job;
}

type Queues = Parameters<typeof listJobs>[0];

/** Reads all jobs and changes none. @throws SealdexError `REDIS_FAILED` */
export async function countCancelable(
  deps: CancelDeps,
  queues: Queues,
  filter: CancelFilter,
  signal?: AbortSignal,
): Promise<CancelableJobs> {
  const kinds = new Map<CancelableKind, number>();
  let active = 0;
  for await (const job of selected(deps, queues, filter)) {
    signal?.throwIfAborted();
    const kind = job.kind as CancelableKind;
    if (job.state === 'active') active += 1;
    else kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return { kinds, active };
}

/**
 * Cancels the selected jobs that no worker is running. Reads the jobs again until it finds none to cancel, since a job that
 * changes its state meanwhile can be missing from a list.
 * @throws SealdexError `REDIS_FAILED`
 */
export async function cancelJobs(
  deps: CancelDeps,
  queues: Queues,
  filter: CancelFilter,
  removeContent: (place: IntakePlace) => Promise<void>,
  { signal, onProgress }: CancelOptions = {},
): Promise<Canceled> {
  const isStopped = (): boolean => signal?.aborted === true;
  const counts = { canceled: 0, active: 0, contentLeft: 0 };
  const bounded = { ...filter, queuedBefore: filter.queuedBefore ?? deps.clock.now() + 1 };
  for (let last = -1; last !== counts.canceled && !isStopped();) {
    last = counts.canceled;
    // The list pages by rank: nothing is removed while it is read.
    const found = await Array.fromAsync(selected(deps, queues, bounded));
    const waiting = found.filter(({ state }) => state !== 'active');
    counts.active = found.length - waiting.length;
    for (let at = 0; at < waiting.length && !isStopped(); at += CONCURRENCY) {
      const batch = waiting.slice(at, at + CONCURRENCY);
      const ends = await Promise.all(batch.map((job) => cancelOne(deps, job, removeContent)));
      counts.canceled += ends.filter((end) => end !== 'taken').length;
      counts.contentLeft += ends.filter((end) => end === 'content left').length;
      onProgress?.({ ...counts });
    }
  }
  return counts;
}

async function cancelOne(
  { redis, keys, clock, noteLifeMs }: CancelDeps,
  { jobId, queue }: UnfinishedJob,
  removeContent: (place: IntakePlace) => Promise<void>,
): Promise<'gone' | 'taken' | 'content left'> {
  const own = queueKeys(keys, queue);
  const entry = queueKey(own, jobId);
  const places = Object.fromEntries([...SETS, ...LISTS].map((name) => [name, queueKey(own, name)]));
  const name = await runScript(redis, CANCEL, {
    ...(places as Record<(typeof SETS)[number] | (typeof LISTS)[number], string>),
    entry,
    note: keys.note(jobId),
    marker: keys.marker(jobId),
    ...backlogKeys(keys),
    removals: keys.intakeRemovals,
    installation: keys.installation,
    beside: BESIDE.map((suffix) => `${entry}:${suffix}`),
    jobId,
    text: `dead ${clock.now()} ${CANCELED}`,
    lifeMs: noteLifeMs,
    code: CANCELED,
    parkedPrefix: own.parked(''),
  });
  if (typeof name !== 'string') return 'taken';
  const content = intakePlaceOf(name);
  // A job that sealdex did not add has no content of its own.
  if (!content || !isNewPlace(content)) return 'gone';
  try {
    await removeContent(content);
    await deleteRemovals(redis, keys, [name]);
    return 'gone';
  } catch {
    return 'content left';
  }
}
