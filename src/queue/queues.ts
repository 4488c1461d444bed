// The queue as producers and operators see it: add a job, ask for one, count. Taking jobs is worker.ts.
// Knows jobs as data; what is in their content it cannot see.
import { Queue, type Job, type JobsOptions } from 'bullmq';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { isCode, type Code } from '../errors.ts';
import { isJobId, type JobData } from '../jobs.ts';
import { ask, redisFault, redisKeys, type Redis } from '../redis.ts';
import { readNote } from './notes.ts';
import { confirm, mark, stamp, type Marker } from './stamp.ts';

/** BullMQ's name of the queue with index, delete and reencrypt jobs. */
export const INDEX_QUEUE = 'index';

export type JobState = 'queued' | 'active' | 'retrying' | 'parked' | 'done' | 'superseded' | 'dead' | 'unknown';

export interface JobStatus {
  readonly state: JobState;
  readonly code?: Code;
  /** Wall clock, milliseconds: when it was queued, began to wait, or ended. */
  readonly since?: number;
}

export interface JobFacts extends JobStatus {
  readonly data?: JobData;
  readonly attempts?: number;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly dead: number;
  /** Wall clock, milliseconds: when the job was queued that is next to be taken. */
  readonly oldest?: number;
}

/** The events stream is for debugging; every entry costs Redis memory. */
const STREAMS = { events: { maxLen: 1000 } };

/** Job data with the largest inline content, in bytes of JSON. */
const SIZE_LIMIT = 2_000_000;

/** Above BullMQ's own default of 0, which would overtake every job that has one. */
export const PRIORITY = 1;

/** Set again by the worker for every job that it takes: others may enqueue. */
export const JOB_OPTIONS = Object.freeze({
  attempts: 8,
  backoff: { type: 'custom' },
  removeOnComplete: true,
  removeOnFail: false,
  stackTraceLimit: 0,
  keepLogs: 0,
} satisfies JobsOptions);

export interface JobQueue {
  /** The first of `count` consecutive revisions. */
  stamp(count: number): Promise<number>;
  mark(jobId: string): Promise<Marker>;
  confirm(jobId: string): Promise<boolean>;
  /** Adds a job; one with an id that is in the queue already changes nothing, and nothing tells so. */
  add(jobId: string, data: JobData): Promise<void>;
  /** What a job's entry says, while there is one. */
  data(jobId: string): Promise<JobData | undefined>;
  status(jobId: string): Promise<JobStatus>;
  facts(jobId: string): Promise<JobFacts>;
  counts(): Promise<QueueCounts>;
  close(): Promise<void>;
}

export function openQueue(config: Config, redis: Redis, clock: Clock): JobQueue {
  const keys = redisKeys(config.queue);
  const queue = new Queue<JobData, null>(INDEX_QUEUE, {
    connection: redis,
    prefix: keys.prefix,
    streams: STREAMS,
    skipWaitingForReady: true,
  });
  // Every command's own answer tells its caller; the event tells it a second time.
  queue.on('error', () => {});

  const stateOf = async (jobId: string): Promise<JobStatus | undefined> => {
    const state = await ask(queue.getJobState(jobId));
    if (state === 'unknown' || state === 'completed') return undefined;
    if (state === 'active') return { state: 'active' };
    if (state === 'failed') {
      const [reason, finished] = await ask(redis.hmget(queue.toKey(jobId), 'failedReason', 'finishedOn'));
      const code = reason?.split(' ')[0] ?? '';
      return {
        state: 'dead',
        code: isCode(code) ? code : 'STALLED_TOO_OFTEN',
        ...(finished ? { since: Number(finished) } : {}),
      };
    }
    const note = state === 'delayed' ? await readNote(redis, keys, jobId) : undefined;
    return note?.state === 'retrying'
      ? { ...codeOf(note), state: 'retrying' }
      : { state: state === 'delayed' ? 'retrying' : 'queued' };
  };

  /** What others wrote may be no JSON, which BullMQ throws on: then there is no data to tell of. */
  const read = async (jobId: string): Promise<Job<JobData, null> | undefined> => {
    try {
      return await queue.getJob(jobId);
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw redisFault(error);
    }
  };

  /** The job that is taken next: stalled and foreign ones without a priority come first. */
  const oldest = async (): Promise<number | undefined> => {
    const first = await ask(redis.lindex(queue.toKey('wait'), -1));
    const next = first ?? (await ask(redis.zrange(queue.toKey('prioritized'), '0', '0')))[0];
    const timestamp = next === undefined ? null : await ask(redis.hget(queue.toKey(next), 'timestamp'));
    return timestamp === null ? undefined : Number(timestamp);
  };

  const status = async (jobId: string): Promise<JobStatus> => {
    if (!isJobId(jobId)) return { state: 'unknown' };
    const inQueue = await stateOf(jobId);
    if (inQueue) return inQueue;
    // The note of an end is written before the job leaves the queue, so nobody falls between the two looks.
    const note = await readNote(redis, keys, jobId);
    return note && note.state !== 'retrying' ? { ...codeOf(note), state: note.state } : { state: 'unknown' };
  };

  return {
    stamp: (count) => stamp(redis, keys, clock, count),
    mark: (jobId) => mark(redis, keys, clock, jobId, config.idempotencyMs),
    confirm: (jobId) => confirm(redis, keys, jobId),
    async add(jobId, data) {
      await ask(queue.add(data.kind, data, { ...JOB_OPTIONS, jobId, priority: PRIORITY, sizeLimit: SIZE_LIMIT }));
    },
    data: async (jobId) => (await read(jobId))?.data,
    status,
    async facts(jobId) {
      const found = await status(jobId);
      const job = isJobId(jobId) ? await read(jobId) : undefined;
      return job
        ? { ...found, data: job.data, attempts: job.attemptsMade, since: found.since ?? job.timestamp }
        : found;
    },
    async counts() {
      const counts = await ask(queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed'));
      const next = await oldest();
      return {
        waiting: (counts['wait'] ?? 0) + (counts['prioritized'] ?? 0),
        active: counts['active'] ?? 0,
        delayed: counts['delayed'] ?? 0,
        dead: counts['failed'] ?? 0,
        ...(next === undefined ? {} : { oldest: next }),
      };
    },
    close: () => queue.close(),
  };
}

const codeOf = ({ code, since }: { code?: string; since: number }): { code?: Code; since: number } =>
  code !== undefined && isCode(code) ? { code, since } : { since };
