// Queues: the index and upload queues as one, for producers and operators. Adds, finds, counts, releases and replays jobs.
import { Queue, type JobsOptions } from 'bullmq';
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config.ts';
import type { SealdexError } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import type { IntakePlace } from '../../runtime/intake-key.ts';
import { QUEUE_NAMES, type QueueName } from '../../runtime/names.ts';
import { runCommand, queueKeys, redisKeys, type QueueKeys, type Redis } from '../../runtime/redis.ts';
import { countPlatformContent, takeBack, type ReservationRequest } from '../backlog/backlog.ts';
import { platformCounters, readCount, readCounts, type Count } from '../backlog/counters.ts';
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
  type ReservationDeps,
} from '../fair-share/reservation.ts';
import { raiseRevision, type ReadFloor } from '../fair-share/revision-counter.ts';
import {
  cancelJobs,
  countCancelable,
  type CancelableJobs,
  type Canceled,
  type CancelFilter,
  type CancelOptions,
} from './cancel.ts';
import { listJobs, type JobFilter, type UnfinishedJob } from './job-list.ts';
import { addRemoval } from './intake-removals.ts';
import { createJobLookup, type JobLookup } from './job-lookup.ts';

/** The stream of events is for debugging; every entry costs Redis memory. */
const STREAMS = { events: { maxLen: 1000 } };

/** Maximum job data, with the largest inline content: bytes of JSON. */
const SIZE_LIMIT = 2_000_000;

/** The worker sets them again for every job that it takes, since other programs may enqueue. */
export const JOB_OPTIONS = Object.freeze({
  attempts: 8,
  backoff: { type: 'custom' },
  removeOnComplete: true,
  removeOnFail: false,
  stackTraceLimit: 0,
  keepLogs: 0,
} satisfies JobsOptions);

interface AddOptions {
  readonly delayMs?: number;
  /**
   * Bytes of content that is under the platform key instead of the tenant's own. BullMQ keeps it in the job's options: older workers
   * reject job data with an unknown field, and ignore an unknown option.
   */
  readonly platformKeyBytes?: number | undefined;
}

export interface JobQueue extends JobLookup {
  /** Call before `reserve` and `mark`. @throws SealdexError `QUEUE_FULL` with `retryAfterMs` if Redis is three quarters full */
  refuseWhenFull(): Promise<void>;
  /** A revision and a priority for each, or `TENANT_BACKLOG_FULL`. @throws SealdexError `CLOCK_SKEW` */
  reserve(requests: readonly ReservationRequest[]): Promise<(Reservation | SealdexError)[]>;
  /** Makes the next revision higher than this one, which was assigned before. */
  raiseRevision(revision: number): Promise<void>;
  /** The same with the marker of an idempotency key. @throws SealdexError `CLOCK_SKEW`, `TENANT_BACKLOG_FULL` */
  mark(jobId: string, request: ReservationRequest): Promise<Marker>;
  /** Sets the marker's fingerprint if it has none and its job is not in the queue. Returns the marker's fingerprint. */
  claim(jobId: string, queueName: QueueName, fingerprint: string): Promise<string | undefined>;
  /** The fingerprint of the marker, if it has one. */
  fingerprint(jobId: string): Promise<string | undefined>;
  confirm(jobId: string): Promise<boolean>;
  /** Has content removed later that no job in the queue names. */
  addRemoval(place: IntakePlace): Promise<void>;
  /** Gives a reservation back. Call only if the job is certainly not in the queue. */
  takeBack(jobId: string, request: ReservationRequest, hasMarker: boolean): Promise<void>;
  /**
   * Adds a job, to be taken after `delayMs` at the earliest. If its id is already in the queue, nothing changes and no error
   * is thrown.
   */
  add(jobId: string, data: JobData, priority: number, options?: AddOptions): Promise<void>;
  /** Content that waits under the platform key instead of the tenant's own, of one tenant or of all: jobs, and bytes of ciphertext. */
  platformContent(tenant?: string): Promise<Count>;
  /** Releases the jobs that are parked at a gate, in all queues, while `shouldContinue` returns true. Returns whether none is left. */
  release(gate: string, shouldContinue: () => Promise<boolean>): Promise<boolean>;
  /** Releases the jobs that are parked at a gate for longer than SEALDEX_PARKED_MAX_MS, which makes them dead letters. */
  expire(gate: string): Promise<void>;
  readonly letters: DeadLetters;
  /** Jobs that are parked at a gate in one queue, oldest first: `size` entries of the index, beginning at rank `from`. */
  parkedPage(gate: string, queueName: QueueName, from: number, size: number): Promise<ParkedPage>;
  /** Jobs that have not ended, state by state, read a page at a time. */
  list(filter?: JobFilter): AsyncGenerator<UnfinishedJob>;
  /** Number of jobs that `cancel` would remove. */
  countCancelable(filter: CancelFilter, signal?: AbortSignal): Promise<CancelableJobs>;
  /** Removes jobs that no worker is running, then their content. @throws SealdexError `REDIS_FAILED` */
  cancel(
    filter: CancelFilter,
    removeContent: (place: IntakePlace) => Promise<void>,
    options?: CancelOptions,
  ): Promise<Canceled>;
  close(): Promise<void>;
}

interface QueueHandle {
  readonly queue: Queue<JobData, null>;
  readonly keys: QueueKeys;
  readonly reserving: ReservationDeps;
  readonly releasing: ReleaseDeps;
}

function openQueueHandle(
  name: QueueName,
  config: Config,
  redis: Redis,
  clock: Clock,
  readFloor: ReadFloor,
): QueueHandle {
  const keys = queueKeys(redisKeys(config.queue), name);
  const queue = new Queue<JobData, null>(name, {
    connection: redis,
    prefix: keys.prefix,
    streams: STREAMS,
    skipWaitingForReady: true,
  });
  // Every command rejects with its own error; the event would report it a second time.
  queue.on('error', () => {});
  const releasing: ReleaseDeps = {
    redis,
    keys,
    queueKey: queue.toKey(''),
    promote: promoter(queue),
    reprioritize: (jobIds) => reprioritize(redis, keys, jobIds),
  };
  return { queue, keys, reserving: { redis, keys, clock, limits: config, readFloor }, releasing };
}

/** Without `readFloor`, a new Redis starts with revisions from its clock. */
export function openQueue(
  config: Config,
  redis: Redis,
  clock: Clock,
  readFloor: ReadFloor = async () => ({ storeNow: clock.now() }),
): JobQueue {
  const own: Readonly<Record<QueueName, QueueHandle>> = {
    index: openQueueHandle('index', config, redis, clock, readFloor),
    upload: openQueueHandle('upload', config, redis, clock, readFloor),
  };
  const all = QUEUE_NAMES.map((name) => own[name]);
  const keys = redisKeys(config.queue);
  const listed = all.map(({ keys: own }) => ({ redis, keys: own }));
  const canceling = { redis, keys, clock, noteLifeMs: config.statusMs };
  const memoryLimit = new MemoryLimit(redis, clock);

  return {
    ...createJobLookup(all, redis, keys),
    refuseWhenFull: () => memoryLimit.refuse(),
    reserve: (requests) => reserveInQueues(own, requests),
    raiseRevision: (revision) => raiseRevision({ redis, keys, readFloor }, revision),
    mark: (jobId, request) => mark(own[request.queue].reserving, jobId, config.idempotencyMs, request),
    claim: (jobId, queueName, fingerprint) => claim(redis, own[queueName].keys, jobId, fingerprint),
    fingerprint: async (jobId) => (await runCommand(redis.hget(keys.marker(jobId), 'fingerprint'))) ?? undefined,
    confirm: (jobId) => confirm(redis, keys, jobId),
    addRemoval: (place) => addRemoval(redis, keys, place),
    takeBack: (jobId, request, hasMarker) => takeBack(redis, own[request.queue].keys, jobId, request, hasMarker),
    async add(jobId, data, priority, { delayMs: delay = 0, platformKeyBytes } = {}) {
      const { queue, keys: queueOwn } = own[queueOf(data.kind)];
      const mark = platformKeyBytes === undefined ? {} : { platformKeyBytes };
      const options = { ...JOB_OPTIONS, jobId, priority, delay, sizeLimit: SIZE_LIMIT, ...mark };
      await runCommand(queue.add(data.kind, data, options));
      // The job is in the queue: if this fails, the next recount counts its content.
      if (platformKeyBytes !== undefined) await countPlatformContent(redis, queueOwn, jobId).catch(() => {});
    },
    async platformContent(tenant) {
      const counters = platformCounters(keys);
      if (tenant !== undefined) return readCount(redis, counters, tenant);
      const counts = [...(await readCounts(redis, counters)).values()];
      return {
        jobs: counts.reduce((sum, { jobs }) => sum + jobs, 0),
        bytes: counts.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    },
    async release(gate, shouldContinue) {
      // Sequentially, each to its end: the gate opens when no queue has jobs left.
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
      // The maximum age of a job: parked for the maximum time, then a dead letter for the maximum time.
      replayMaxMs: config.parkedMaxMs + config.letterMaxMs,
    }),
    parkedPage: (gate, queueName, from, size) => parkedPage(own[queueName].releasing, gate, from, size),
    list: (filter) => listJobs(listed, filter),
    countCancelable: (filter, signal) => countCancelable(canceling, listed, filter, signal),
    cancel: (filter, removeContent, options) => cancelJobs(canceling, listed, filter, removeContent, options),
    close: async () => void (await Promise.all(all.map(({ queue }) => queue.close()))),
  };
}

/** Runs one script for each queue. */
async function reserveInQueues(
  own: Readonly<Record<QueueName, QueueHandle>>,
  requests: readonly ReservationRequest[],
): Promise<(Reservation | SealdexError)[]> {
  const reservations = new Map<ReservationRequest, Reservation | SealdexError>();
  for (const [name, those] of Map.groupBy(requests, ({ queue }) => queue)) {
    const given = await reserve(own[name].reserving, those);
    for (const [at, request] of those.entries()) reservations.set(request, given[at]!);
  }
  return requests.map((request) => reservations.get(request)!);
}
