// The jobs of all queues as a list: state by state, read a page at a time. Dead letters have a list of their own.
// Only reads. Of a job's data it reads the names that are in plaintext.
import type { Code } from '../../runtime/errors.ts';
import { NAME, type QueueName } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, type QueueKeys, type Redis } from '../../runtime/redis.ts';
import { SEARCHED_BYTES } from '../backlog/backlog.ts';
import { pagesOf } from '../dead-letters/pages.ts';
import { parseParked } from '../parked/parked.ts';
import { queueKey } from './queue-keys.ts';
import { parseNote } from './status-notes.ts';

/** State of a job that has not ended. */
export type UnfinishedState = 'active' | 'retrying' | 'parked' | 'queued';

/** A job that has not ended. */
export interface UnfinishedJob {
  /** Id of the job. */
  readonly jobId: string;
  /** BullMQ queue of the job. */
  readonly queue: QueueName;
  /** Name of the tenant. Like `corpus` and `kind`, absent if the job has no readable data. */
  readonly tenant?: string;
  /** Name of the corpus; absent for a re-encryption. */
  readonly corpus?: string;
  /** Kind of the job, for example `index`, `delete` or `upload`. */
  readonly kind?: string;
  /** State of the job. */
  readonly state: UnfinishedState;
  /** For a job that is retrying or parked: code of the error. */
  readonly code?: Code;
  /** Time at which the job was queued: Unix time in milliseconds. */
  readonly queuedAt?: number;
}

/** Selects jobs that have not ended; without a field, all of them. */
export interface JobFilter {
  /** Only jobs of this tenant. */
  readonly tenant?: string | undefined;
  /** Only jobs of this corpus. */
  readonly corpus?: string | undefined;
  /** Only jobs of this kind, for example `index`. */
  readonly kind?: string | undefined;
  /** Only jobs in this state. */
  readonly state?: UnfinishedState | undefined;
  /** Only jobs that are retrying or parked with this code. */
  readonly code?: Code | undefined;
  /** Only jobs that were queued before this time: Unix time in milliseconds. */
  readonly queuedBefore?: number | undefined;
}

interface JobListDeps {
  readonly redis: Redis;
  readonly keys: QueueKeys;
}

const PAGE = 250;
/** So many at once that a script with the largest inline content still takes milliseconds. */
const BATCH = 50;

/**
 * Returns for each entry { timestamp, parked, isParked, tenant, corpus, kind, note }, or nil for an entry that is gone. A job that
 * was released and then delayed for another reason is no longer in the index of its gate.
 */
const READ = script({
  name: 'jobs_read',
  keys: ['...entries'],
  args: ['parkedPrefix', 'notePrefix', '...ids'],
  lua: `
  local found = {}
  for at, id in ipairs(ids) do
    local fields = redis.pcall('HMGET', entries[at], 'timestamp', 'parked', 'data')
    if fields[1] then
      local head = string.sub(fields[3] or '', 1, ${SEARCHED_BYTES})
      local function word(name) return string.match(head, '"' .. name .. '":"([a-zA-Z0-9_=-]+)"') or '' end
      local gate = string.match(fields[2] or '', '(%S+)$')
      local is_parked = gate and redis.call('ZSCORE', parkedPrefix .. gate, id)
      found[at] = { fields[1], fields[2] or '', is_parked and '1' or '', word('tenant'), word('corpus'), word('kind'),
        redis.call('GET', notePrefix .. id) or '' }
    else
      found[at] = false
    end
  end
  return found`,
});

/** Where BullMQ keeps jobs in a state; parked jobs are delayed ones. In this order the rare states come before a long backlog. */
const PLACES: readonly { readonly name: string; readonly kind: 'list' | 'set'; readonly states: UnfinishedState[] }[] =
  [
    { name: 'active', kind: 'list', states: ['active'] },
    { name: 'delayed', kind: 'set', states: ['retrying', 'parked'] },
    { name: 'wait', kind: 'list', states: ['queued'] },
    { name: 'prioritized', kind: 'set', states: ['queued'] },
  ];

const isSelected = (job: UnfinishedJob, { tenant, corpus, kind, state, code, queuedBefore }: JobFilter): boolean =>
  (tenant === undefined || job.tenant === tenant) &&
  (corpus === undefined || job.corpus === corpus) &&
  (kind === undefined || job.kind === kind) &&
  (state === undefined || job.state === state) &&
  (code === undefined || job.code === code) &&
  (queuedBefore === undefined || (job.queuedAt !== undefined && job.queuedAt < queuedBefore));

/**
 * Active jobs, then those that are retrying or parked, in the order of their next run, then queued ones. A job that
 * changes its state meanwhile can be missing or come twice.
 * @throws SealdexError `REDIS_FAILED`
 */
export async function* listJobs(queues: readonly JobListDeps[], filter: JobFilter = {}): AsyncGenerator<UnfinishedJob> {
  for (const { name, kind, states } of PLACES) {
    if (filter.state !== undefined && !states.includes(filter.state)) continue;
    for (const queue of queues) {
      const place = queueKey(queue.keys, name);
      const pages = kind === 'list' ? listPages(queue.redis, place) : setPages(queue.redis, place);
      for await (const ids of pages)
        for (const job of await readJobs(queue, ids, states[0])) if (isSelected(job, filter)) yield job;
    }
  }
}

async function* listPages(redis: Redis, list: string): AsyncGenerator<string[]> {
  for (let from = 0; ; from += PAGE) {
    const ids = await runCommand(redis.lrange(list, from, from + PAGE - 1));
    if (ids.length > 0) yield ids;
    if (ids.length < PAGE) return;
  }
}

async function* setPages(redis: Redis, set: string): AsyncGenerator<string[]> {
  for await (const page of pagesOf(redis, set, 'oldest', {}, PAGE)) yield page.map(({ jobId }) => jobId);
}

/** `state` is that of the place, for jobs that are not parked. */
async function readJobs(
  { redis, keys }: JobListDeps,
  ids: readonly string[],
  state: UnfinishedState = 'queued',
): Promise<UnfinishedJob[]> {
  const batches = Array.from({ length: Math.ceil(ids.length / BATCH) }, (_, at) =>
    ids.slice(at * BATCH, (at + 1) * BATCH),
  );
  const answers = await Promise.all(
    batches.map((batch) =>
      runScript(redis, READ, {
        entries: batch.map((id) => queueKey(keys, id)),
        parkedPrefix: keys.parked(''),
        notePrefix: keys.note(''),
        ids: batch,
      }),
    ),
  );
  const found = answers.flat(1) as (string[] | null)[];
  return ids.flatMap((jobId, at) => (found[at] ? [jobOf(keys, jobId, state, found[at])] : []));
}

const named = (field: 'tenant' | 'corpus' | 'kind', text = ''): Partial<UnfinishedJob> =>
  NAME.test(text) ? { [field]: text } : {};

function jobOf(
  { queueName }: QueueKeys,
  jobId: string,
  state: UnfinishedState,
  [timestamp, parkedText, isParked, tenant, corpus, kind, noteText]: readonly string[],
): UnfinishedJob {
  const queuedAt = Number(timestamp);
  const isDelayed = state === 'retrying';
  const parked = isDelayed && isParked ? parseParked(parkedText) : undefined;
  const note = isDelayed ? parseNote(noteText) : undefined;
  const code = parked?.code ?? (note?.state === 'retrying' ? note.code : undefined);
  return {
    jobId,
    queue: queueName,
    ...named('tenant', tenant),
    ...named('corpus', corpus),
    ...named('kind', kind),
    state: parked ? 'parked' : state,
    ...(code === undefined ? {} : { code }),
    ...(Number.isSafeInteger(queuedAt) ? { queuedAt } : {}),
  };
}
