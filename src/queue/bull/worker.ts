// Queue worker: takes jobs of one queue, runs the given handler, settles the outcomes, and hands jobs back on stop.
import { withDeadline, type Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config.ts';
import type { Code } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import { faultOf } from '../../runtime/fault.ts';
import { atMostEvery } from '../../runtime/log.ts';
import { isJobId, type QueueName } from '../../runtime/names.ts';
import { queueKeys, redisKeys, type Redis } from '../../runtime/redis.ts';
import { startFairShareLoop, type FairShareLoop } from '../fair-share/fair-share-maintenance.ts';
import { promoter, type ParkDeps } from '../parked/parked.ts';
import { createProcessor, type ProcessorDeps, type QueueProcessor } from './processor.ts';
import { queueKey } from './queue-keys.ts';
import { repairEntry, queueFault, SafeWorker } from './safe-worker.ts';
import { backoffMs } from './settle.ts';

export interface WorkerDeps extends ProcessorDeps {
  readonly config: Config;
  readonly queueName: QueueName;
  /** Maximum number of concurrent jobs. */
  readonly concurrency: number;
  readonly clock: Clock;
  /** A connection that waits for Redis; BullMQ duplicates it for blocking commands. */
  readonly queueRedis: Redis;
  readonly redis: Redis;
  readonly parking: Pick<ParkDeps, 'isOpen' | 'refresh'>;
  /** Called after BullMQ accepted a completion; removes the job's intake content. */
  readonly onCompleted: (jobId: string, data: JobData) => Promise<void>;
}

export interface QueueWorker {
  /** Resolves when the worker takes jobs. */
  ready(): Promise<void>;
  active(): number;
  /** Takes no jobs until `resume()`, and hands back jobs in progress. Both may be called twice. */
  pause(): void;
  resume(): void;
  /**
   * Takes no more jobs, waits up to `drainMs` for running ones, and hands back the rest. Ends within `stopMs`.
   * May be called twice.
   */
  stop(): Promise<{ handedBack: number; isClean: boolean }>;
}

/** Jobs of a dead process can be taken after about the sum of both. Renewal costs one script per half lock time. */
const LOCK_MS = 20_000;
const STALLED_CHECK_MS = 10_000;
/** Over the life of a job; only a replay resets the count. */
const MAX_STALLS = 3;
/** Seconds between polls: a wake-up may be lost to a frozen process. */
const DRAIN_DELAY = 1;
const LOG_EVERY_MS = 10_000;
/** Delay before BullMQ repeats a move that failed with a lost connection. */
const REPEAT_MS = 1000;
/** Concurrent removals of content; above this, content is left to the maintenance task. */
const MAX_FOLLOW_UPS = 1000;

export function startWorker(deps: WorkerDeps): QueueWorker {
  const { config, clock, log, metrics } = deps;
  const keys = queueKeys(redisKeys(config.queue), deps.queueName);
  const logRarely = atMostEvery(() => clock.monotonic(), LOG_EVERY_MS);
  const onFault = (error: unknown): void => {
    const fault = faultOf(queueFault(error));
    logRarely(`${fault.reason} ${fault.cause}`, () => log.warn(fault, 'queue error'));
  };
  const { redis } = deps;
  const worker = new SafeWorker(deps.queueName, {
    connection: deps.queueRedis,
    prefix: keys.prefix,
    concurrency: deps.concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLS,
    drainDelay: DRAIN_DELAY,
    runRetryDelay: REPEAT_MS,
    metrics: { maxDataPoints: 60 },
    settings: { backoffStrategy: (attempt) => backoffMs(attempt) },
  });
  const parking: ParkDeps = {
    ...deps.parking,
    redis,
    keys,
    clock,
    parkedMaxMs: config.parkedMaxMs,
    queueKey: queueKey(keys, ''),
    promote: promoter(worker),
  };
  const onDead = (code: Code): void => metrics.count('sealdex_dead_letters_total', { code });
  const settling = { redis, keys, clock, noteLifeMs: config.statusMs, parking, onFault, onDead };
  const processor = createProcessor(deps, settling);
  const following = new Set<Promise<void>>();
  const follow = (jobId: string, work: () => Promise<void>, failed: string): void => {
    if (following.size >= MAX_FOLLOW_UPS) return logRarely(failed, () => log.warn({}, failed));
    const followUp = work().catch((error: unknown) => {
      logRarely(failed, () => log.warn({ ...faultOf(error), job: isJobId(jobId) ? jobId : '-' }, failed));
    });
    following.add(followUp);
    void followUp.then(() => following.delete(followUp));
  };
  worker.on('error', onFault);
  worker.on('completed', ({ id = '', data }) =>
    follow(id, () => deps.onCompleted(id, data), 'failed to delete content of a finished job; it is deleted later'),
  );
  worker.on('stalled', (id) => {
    log.warn({ job: isJobId(id) ? id : '-' }, 'recovered stalled job');
    follow(id, () => repairEntry(deps.redis, worker.toKey(id)), 'failed to inspect a stalled job');
  });
  worker.takeJobs((job, token) => processor.run(job, token, worker.hasStalledOut(job)));
  const fairShareLoop = startFairShareLoop({ redis: deps.redis, keys, clock, onFault });

  let stopping: Promise<{ handedBack: number; isClean: boolean }> | undefined;
  return {
    ready: () => worker.waitUntilReady(),
    active: processor.active,
    pause() {
      worker.pause(true).catch(onFault);
      processor.abort();
    },
    resume() {
      if (!stopping) worker.resume().catch(onFault);
    },
    stop: () => (stopping ??= stopWorker(deps, worker, processor, following, fairShareLoop)),
  };
}

/** Part of SEALDEX_STOP_MS that the rest of the process needs to close. */
const REST_MS = 1000;

async function stopWorker(
  { clock, config }: WorkerDeps,
  worker: SafeWorker,
  processor: QueueProcessor,
  following: ReadonlySet<Promise<void>>,
  fairShareLoop: FairShareLoop,
): Promise<{ handedBack: number; isClean: boolean }> {
  const stopMs = config.stopMs - Math.min(REST_MS, config.stopMs / 5);
  const drain = Promise.withResolvers<void>();
  const drained = clock.after(Math.min(config.drainMs, stopMs * 0.8), () => {
    processor.abort();
    drain.resolve();
  });
  // Content of finished jobs is removed while jobs are drained, and left to the maintenance task after that.
  const closed = worker.close().then(() => Promise.race([Promise.all(following), drain.promise]));
  const ended = Promise.all([closed, fairShareLoop.stop()]);
  try {
    await withDeadline(clock, stopMs, ended, () => new Error('late'));
    return { handedBack: processor.handedBack(), isClean: true };
  } catch {
    worker.abandon();
    processor.abort();
    return { handedBack: processor.handedBack(), isClean: false };
  } finally {
    drained.cancel();
  }
}
