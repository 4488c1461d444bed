// Job lookup: finds a job in any queue and reads its state, from its entry or from its status note. Counts jobs by state.
import type { Job, Queue } from 'bullmq';
import type { Code } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import { isJobId, type QueueName } from '../../runtime/names.ts';
import { runCommand, type QueueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';
import { failureOf } from './failure-text.ts';
import { readNote } from './status-notes.ts';
import { parseParked, type ParkedNote } from '../parked/parked.ts';

/**
 * State of a job. `superseded`: a newer revision of the document is stored. `unknown`: the job does not exist, or ended more than
 * SEALDEX_STATUS_MS ago.
 */
export type JobState = 'queued' | 'active' | 'retrying' | 'parked' | 'done' | 'superseded' | 'dead' | 'unknown';

/** Status of a job. */
export interface JobStatus {
  /** State of the job. */
  readonly state: JobState;
  /** Code of the error for which the job is retried, parked or dead. */
  readonly code?: Code;
  /** For a file that could not be read: the reason, a word of docs/uploads.md. */
  readonly reason?: string;
  /** Start of the state: Unix time in milliseconds. */
  readonly since?: number;
}

export interface JobFacts extends JobStatus {
  /** Data of the job, without content; absent after the job has ended. */
  readonly data?: JobData;
  /** Number of attempts so far. */
  readonly attempts?: number;
  /** For a parked job: number of times it was parked, and its gate. */
  readonly parked?: { readonly count: number; readonly gate: string };
}

export interface QueueCounts {
  /** Jobs that are ready to run. */
  readonly waiting: number;
  /** Running jobs. */
  readonly active: number;
  /** Jobs that wait for a retry, and parked jobs. */
  readonly delayed: number;
  /** Dead letters. */
  readonly dead: number;
  /** Time at which the next job was queued: Unix time in milliseconds. */
  readonly oldest?: number;
}

export interface JobLookup {
  /** Undefined if the job is not in a queue. */
  data(jobId: string): Promise<JobData | undefined>;
  /** `since` is only set for jobs that have ended or wait with a code; a repeated request needs no more. */
  status(jobId: string): Promise<JobStatus>;
  /** The same with `since` for all jobs in a queue, at the cost of one more Redis command. */
  statusSince(jobId: string): Promise<JobStatus>;
  facts(jobId: string): Promise<JobFacts>;
  counts(): Promise<Readonly<Record<QueueName, QueueCounts>>>;
}

type JobsQueue = Queue<JobData, null>;

/** One of BullMQ's queues, with its keys. */
export interface QueuePlace {
  readonly queue: JobsQueue;
  readonly keys: QueueKeys;
}

interface QueueMatch {
  readonly status: JobStatus;
  readonly queue?: JobsQueue;
}

const parkedNote = async (queue: JobsQueue, redis: Redis, jobId: string): Promise<ParkedNote | undefined> =>
  parseParked(await runCommand(redis.hget(queue.toKey(jobId), 'parked')));

/** A job stays in one queue, so the queues are read one after the other. */
export function createJobLookup(places: readonly QueuePlace[], redis: Redis, keys: RedisKeys): JobLookup {
  const find = async (jobId: string): Promise<QueueMatch> => {
    if (!isJobId(jobId)) return { status: { state: 'unknown' } };
    for (const { queue, keys: own } of places) {
      const inQueue = await statusInQueue(queue, redis, own, jobId);
      if (inQueue) return { status: inQueue, queue };
    }
    // The final note is written before the job leaves the queue, so no job is missed between the two reads.
    const note = await readNote(redis, keys, jobId);
    return { status: note && note.state !== 'retrying' ? note : { state: 'unknown' } };
  };
  const findSince = async (jobId: string): Promise<QueueMatch> => {
    const { status, queue } = await find(jobId);
    if (status.since !== undefined || !queue) return { status, ...(queue ? { queue } : {}) };
    const since = await sinceInQueue(queue, redis, jobId, status.state);
    return { status: since === undefined ? status : { ...status, since }, queue };
  };

  return {
    async data(jobId) {
      for (const { queue } of places) {
        const job = await entryOf(queue, jobId);
        if (job) return job.data;
      }
      return undefined;
    },
    status: async (jobId) => (await find(jobId)).status,
    statusSince: async (jobId) => (await findSince(jobId)).status,
    async facts(jobId) {
      const { status, queue } = await findSince(jobId);
      const job = queue && (await entryOf(queue, jobId));
      if (!job) return status;
      const note = status.state === 'parked' ? await parkedNote(queue, redis, jobId) : undefined;
      return {
        ...status,
        data: job.data,
        attempts: job.attemptsMade,
        since: status.since ?? job.timestamp,
        ...(note ? { parked: { count: note.count, gate: note.gate } } : {}),
      };
    },
    async counts() {
      const counts = await Promise.all(places.map(({ queue }) => countsOf(queue, redis)));
      return Object.fromEntries(places.map(({ keys: own }, at) => [own.queueName, counts[at]])) as Record<
        QueueName,
        QueueCounts
      >;
    },
  };
}

async function countsOf(queue: JobsQueue, redis: Redis): Promise<QueueCounts> {
  const counts = await runCommand(queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed'));
  const next = await oldestWaiting(queue, redis);
  return {
    waiting: (counts['wait'] ?? 0) + (counts['prioritized'] ?? 0),
    active: counts['active'] ?? 0,
    delayed: counts['delayed'] ?? 0,
    dead: counts['failed'] ?? 0,
    ...(next === undefined ? {} : { oldest: next }),
  };
}

/** Undefined if the job is not in the queue. */
async function statusInQueue(
  queue: JobsQueue,
  redis: Redis,
  keys: QueueKeys,
  jobId: string,
): Promise<JobStatus | undefined> {
  const state = await runCommand(queue.getJobState(jobId));
  if (state === 'unknown' || state === 'completed') return undefined;
  if (state === 'active') return { state };
  if (state === 'failed') {
    const [text, finished] = await runCommand(redis.hmget(queue.toKey(jobId), 'failedReason', 'finishedOn'));
    return { state: 'dead', ...failureOf(text), ...(finished ? { since: Number(finished) } : {}) };
  }
  if (state !== 'delayed') return { state: 'queued' };
  const parked = await parkedNote(queue, redis, jobId);
  // A job that was released and then delayed for another reason is not in the index.
  if (parked && (await runCommand(redis.zscore(keys.parked(parked.gate), jobId))) !== null)
    return { state: 'parked', code: parked.code, since: parked.since };
  const note = await readNote(redis, keys, jobId);
  return note?.state === 'retrying' ? note : { state: 'retrying' };
}

/** Undefined for an entry that was removed since, or whose fields are not timestamps. */
async function sinceInQueue(
  queue: JobsQueue,
  redis: Redis,
  jobId: string,
  state: JobState,
): Promise<number | undefined> {
  const [queued, taken] = await runCommand(redis.hmget(queue.toKey(jobId), 'timestamp', 'processedOn'));
  const since = Number((state === 'queued' ? undefined : taken) ?? queued ?? undefined);
  return Number.isSafeInteger(since) ? since : undefined;
}

/** Undefined for an entry that is not JSON, on which BullMQ throws. */
async function entryOf(queue: JobsQueue, jobId: string): Promise<Job<JobData, null> | undefined> {
  try {
    return await queue.getJob(jobId);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw redisFault(error);
  }
}

/** When the next job was queued. Jobs without a priority, stalled or added by other programs, come first. */
async function oldestWaiting(queue: JobsQueue, redis: Redis): Promise<number | undefined> {
  const first = await runCommand(redis.lindex(queue.toKey('wait'), -1));
  const next = first ?? (await runCommand(redis.zrange(queue.toKey('prioritized'), '0', '0')))[0];
  const timestamp = next === undefined ? null : await runCommand(redis.hget(queue.toKey(next), 'timestamp'));
  return timestamp === null ? undefined : Number(timestamp);
}
