// The queue as producers and operators see it: add a job, ask for one, count. Taking jobs is worker.ts, looking for them
// whereabouts.ts.
// Knows jobs as data; what is in their content it cannot see.
import { Queue, type JobsOptions } from 'bullmq';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { JobData } from '../jobs.ts';
import { ask, redisKeys, type Redis } from '../redis.ts';
import { expireParked, promoter, releaseParked, type ReleaseDeps } from './parked.ts';
import { confirm, mark, stamp, type Marker } from './stamp.ts';
import { createWhereabouts, type Whereabouts } from './whereabouts.ts';

/** BullMQ's name of the queue with index, delete and reencrypt jobs. */
export const INDEX_QUEUE = 'index';

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

export interface JobQueue extends Whereabouts {
  /** The first of `count` consecutive revisions. */
  stamp(count: number): Promise<number>;
  mark(jobId: string): Promise<Marker>;
  confirm(jobId: string): Promise<boolean>;
  /** Adds a job; one with an id that is in the queue already changes nothing, and nothing tells so. */
  add(jobId: string, data: JobData): Promise<void>;
  /** Releases what is parked at a gate, as long as `goesOn` says so. Answers whether nothing is left. */
  release(gate: string, goesOn: () => Promise<boolean>): Promise<boolean>;
  /** Brings back what is parked at a gate for longer than it may be. */
  expire(gate: string): Promise<void>;
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

  const releasing: ReleaseDeps = {
    redis,
    keys,
    queueKey: queue.toKey(''),
    promote: promoter(queue),
    restamp: async () => {},
  };

  return {
    ...createWhereabouts(queue, redis, keys),
    stamp: (count) => stamp(redis, keys, clock, count),
    mark: (jobId) => mark(redis, keys, clock, jobId, config.idempotencyMs),
    confirm: (jobId) => confirm(redis, keys, jobId),
    async add(jobId, data) {
      await ask(queue.add(data.kind, data, { ...JOB_OPTIONS, jobId, priority: PRIORITY, sizeLimit: SIZE_LIMIT }));
    },
    release: (gate, goesOn) => releaseParked(releasing, gate, goesOn),
    expire: (gate) => expireParked(releasing, gate, clock.now() - config.parkedMaxMs),
    close: () => queue.close(),
  };
}
