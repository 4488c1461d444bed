// The queue as producers and operators see it: add a job, ask for one, count. Taking jobs is worker.ts, looking for them
// whereabouts.ts.
// Knows jobs as data; what is in their content it cannot see.
import { Queue, type JobsOptions } from 'bullmq';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { SealdexError } from '../errors.ts';
import type { JobData } from '../jobs.ts';
import { ask, redisKeys, type Redis } from '../redis.ts';
import { takeBack, type StampRequest } from './backlog.ts';
import { createDeadLetters, type DeadLetters } from './dead-letters.ts';
import { Fullness } from './fullness.ts';
import { expireParked, promoter, releaseParked, type ReleaseDeps } from './parked.ts';
import { parkedPage, type ParkedPage } from './parked-list.ts';
import { INDEX_QUEUE } from './queue-keys.ts';
import { restamp } from './restamp.ts';
import { confirm, mark, stamp, type Marker, type Stamp, type Stamping } from './stamp.ts';
import { createWhereabouts, type Whereabouts } from './whereabouts.ts';

/** The events stream is for debugging; every entry costs Redis memory. */
const STREAMS = { events: { maxLen: 1000 } };

/** Job data with the largest inline content, in bytes of JSON. */
const SIZE_LIMIT = 2_000_000;

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
  /** Comes before a stamp. @throws SealdexError `QUEUE_FULL` with `retryAfterMs` when Redis is three quarters full */
  refuseWhenFull(): Promise<void>;
  /** A revision and a priority for each, or `TENANT_BACKLOG_FULL`. @throws SealdexError `CLOCK_SKEW` */
  stamp(requests: readonly StampRequest[]): Promise<(Stamp | SealdexError)[]>;
  /** The same with an idempotency key's marker. @throws SealdexError `CLOCK_SKEW`, `TENANT_BACKLOG_FULL` */
  mark(jobId: string, request: StampRequest): Promise<Marker>;
  confirm(jobId: string): Promise<boolean>;
  /** Takes a job out of its tenant's backlog that was stamped and is certainly not in the queue. */
  takeBack(jobId: string, request: StampRequest, hasMarker: boolean): Promise<void>;
  /** Adds a job; one with an id that is in the queue already changes nothing, and nothing tells so. */
  add(jobId: string, data: JobData, priority: number): Promise<void>;
  /** Releases what is parked at a gate, as long as `goesOn` says so. Answers whether nothing is left. */
  release(gate: string, goesOn: () => Promise<boolean>): Promise<boolean>;
  /** Brings back what is parked at a gate for longer than it may be. */
  expire(gate: string): Promise<void>;
  readonly letters: DeadLetters;
  /** What is parked at a gate, oldest first, `size` entries of its index from this one on. */
  parkedPage(gate: string, from: number, size: number): Promise<ParkedPage>;
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
  const stamping: Stamping = { redis, keys, clock, limits: config };
  const fullness = new Fullness(redis, clock);

  const releasing: ReleaseDeps = {
    redis,
    keys,
    queueKey: queue.toKey(''),
    promote: promoter(queue),
    restamp: (jobIds) => restamp(redis, keys, jobIds),
  };

  return {
    ...createWhereabouts(queue, redis, keys),
    refuseWhenFull: () => fullness.refuse(),
    stamp: (requests) => stamp(stamping, requests),
    mark: (jobId, request) => mark(stamping, jobId, config.idempotencyMs, request),
    confirm: (jobId) => confirm(redis, keys, jobId),
    takeBack: (jobId, request, hasMarker) => takeBack(redis, keys, jobId, request, hasMarker),
    async add(jobId, data, priority) {
      await ask(queue.add(data.kind, data, { ...JOB_OPTIONS, jobId, priority, sizeLimit: SIZE_LIMIT }));
    },
    release: (gate, goesOn) => releaseParked(releasing, gate, goesOn),
    expire: (gate) => expireParked(releasing, gate, clock.now() - config.parkedMaxMs),
    letters: createDeadLetters({
      queue,
      redis,
      keys,
      clock,
      // As old as a job gets that is parked, dies and is kept for all the time it may.
      replayMaxMs: config.parkedMaxMs + config.letterMaxMs,
      restamp: releasing.restamp,
    }),
    parkedPage: (gate, from, size) => parkedPage({ redis, keys, queueKey: queue.toKey('') }, gate, from, size),
    close: () => queue.close(),
  };
}
