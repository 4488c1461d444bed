// The queues as producers and operators see them, as one: add a job, ask for one, count. Taking jobs is worker.ts, looking for them
// job-lookup.ts.
// Knows jobs as data; what is in their content it cannot see.
import { Queue, type JobsOptions } from 'bullmq';
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config.ts';
import type { SealdexError } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import { QUEUE_NAMES, type QueueName } from '../../runtime/names.ts';
import { runCommand, queueKeys, redisKeys, type QueueKeys, type Redis } from '../../runtime/redis.ts';
import { takeBack, type ReservationRequest } from '../backlog/backlog.ts';
import { createDeadLetters, retrier, type DeadLetters } from '../dead-letters/dead-letters.ts';
import { MemoryLimit } from '../backlog/redis-memory-limit.ts';
import { expireParked, promoter, releaseParked, type ReleaseDeps } from '../parked/parked.ts';
import { parkedPage, type ParkedPage } from '../parked/parked-list.ts';
import { queueOf } from './queue-keys.ts';
import { reprioritize } from '../fair-share/reprioritize.ts';
import {
  claim,
  confirm,
  mark,
  reserve,
  type Marker,
  type Reservation,
  type Stamping,
} from '../fair-share/reservation.ts';
import { createJobLookup, type JobLookup } from './job-lookup.ts';

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

export interface JobQueue extends JobLookup {
  /** Comes before a stamp. @throws SealdexError `QUEUE_FULL` with `retryAfterMs` when Redis is three quarters full */
  refuseWhenFull(): Promise<void>;
  /** A revision and a priority for each, or `TENANT_BACKLOG_FULL`. @throws SealdexError `CLOCK_SKEW` */
  reserve(requests: readonly ReservationRequest[]): Promise<(Reservation | SealdexError)[]>;
  /** The same with an idempotency key's marker. @throws SealdexError `CLOCK_SKEW`, `TENANT_BACKLOG_FULL` */
  mark(jobId: string, request: ReservationRequest): Promise<Marker>;
  /** The fingerprint of the marker, after giving it this one if it has none and its job is not in the queue. */
  claim(jobId: string, queueName: QueueName, fingerprint: string): Promise<string | undefined>;
  /** The fingerprint of the marker, if it has one. */
  fingerprint(jobId: string): Promise<string | undefined>;
  confirm(jobId: string): Promise<boolean>;
  /** Takes a job out of its tenant's backlog that was stamped and is certainly not in the queue. */
  takeBack(jobId: string, request: ReservationRequest, hasMarker: boolean): Promise<void>;
  /**
   * Adds a job, to be taken after `delayMs` at the earliest; one with an id that is in the queue already changes nothing,
   * and nothing tells so.
   */
  add(jobId: string, data: JobData, priority: number, delayMs?: number): Promise<void>;
  /** Releases what is parked at a gate in any queue, as long as `shouldContinue` says so. Answers whether nothing is left. */
  release(gate: string, shouldContinue: () => Promise<boolean>): Promise<boolean>;
  /** Brings back what is parked at a gate for longer than it may be. */
  expire(gate: string): Promise<void>;
  readonly letters: DeadLetters;
  /** What is parked at a gate in one queue, oldest first, `size` entries of its index from this one on. */
  parkedPage(gate: string, queueName: QueueName, from: number, size: number): Promise<ParkedPage>;
  close(): Promise<void>;
}

/** One of BullMQ's queues, and what its jobs need. */
interface QueueHandle {
  readonly queue: Queue<JobData, null>;
  readonly keys: QueueKeys;
  readonly stamping: Stamping;
  readonly releasing: ReleaseDeps;
}

function openQueueHandle(name: QueueName, config: Config, redis: Redis, clock: Clock): QueueHandle {
  const keys = queueKeys(redisKeys(config.queue), name);
  const queue = new Queue<JobData, null>(name, {
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
    reprioritize: (jobIds) => reprioritize(redis, keys, jobIds),
  };
  return { queue, keys, stamping: { redis, keys, clock, limits: config }, releasing };
}

export function openQueue(config: Config, redis: Redis, clock: Clock): JobQueue {
  const own: Readonly<Record<QueueName, QueueHandle>> = {
    index: openQueueHandle('index', config, redis, clock),
    upload: openQueueHandle('upload', config, redis, clock),
  };
  const all = QUEUE_NAMES.map((name) => own[name]);
  const keys = redisKeys(config.queue);
  const fullness = new MemoryLimit(redis, clock);

  return {
    ...createJobLookup(all, redis, keys),
    refuseWhenFull: () => fullness.refuse(),
    reserve: (requests) => reserveInQueues(own, requests),
    mark: (jobId, request) => mark(own[request.queue].stamping, jobId, config.idempotencyMs, request),
    claim: (jobId, queueName, fingerprint) => claim(redis, own[queueName].keys, jobId, fingerprint),
    fingerprint: async (jobId) => (await runCommand(redis.hget(keys.marker(jobId), 'fingerprint'))) ?? undefined,
    confirm: (jobId) => confirm(redis, keys, jobId),
    takeBack: (jobId, request, hasMarker) => takeBack(redis, own[request.queue].keys, jobId, request, hasMarker),
    async add(jobId, data, priority, delay = 0) {
      const { queue } = own[queueOf(data.kind)];
      await runCommand(queue.add(data.kind, data, { ...JOB_OPTIONS, jobId, priority, delay, sizeLimit: SIZE_LIMIT }));
    },
    async release(gate, shouldContinue) {
      // One after the other, and each to its end: the gate opens when nothing is left in any.
      for (const { releasing } of all) if (!(await releaseParked(releasing, gate, shouldContinue))) return false;
      return true;
    },
    async expire(gate) {
      for (const { releasing } of all) await expireParked(releasing, gate, clock.now() - config.parkedMaxMs);
    },
    letters: createDeadLetters({
      redis,
      places: all.map((each) => ({
        redis,
        keys: each.keys,
        reprioritize: each.releasing.reprioritize,
        retry: retrier(each.queue),
      })),
      clock,
      // As old as a job gets that is parked, dies and is kept for all the time it may.
      replayMaxMs: config.parkedMaxMs + config.letterMaxMs,
    }),
    parkedPage: (gate, queueName, from, size) => parkedPage(own[queueName].releasing, gate, from, size),
    close: async () => void (await Promise.all(all.map(({ queue }) => queue.close()))),
  };
}

/** One script for the requests of each queue. */
async function reserveInQueues(
  own: Readonly<Record<QueueName, QueueHandle>>,
  requests: readonly ReservationRequest[],
): Promise<(Reservation | SealdexError)[]> {
  const stamps = new Map<ReservationRequest, Reservation | SealdexError>();
  for (const [name, those] of Map.groupBy(requests, ({ queue }) => queue)) {
    const given = await reserve(own[name].stamping, those);
    for (const [at, request] of those.entries()) stamps.set(request, given[at]!);
  }
  return requests.map((request) => stamps.get(request)!);
}
