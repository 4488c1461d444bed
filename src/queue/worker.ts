// Taking jobs: BullMQ's worker with our settings, hand-back at the end, and nothing of what a job means.
// Every job goes through the handler that is given, and its outcome through settle().
import { WaitingError, Worker, type Job, type JobJson } from 'bullmq';
import type { Clock } from '../clock.ts';
import { sleep, withDeadline } from '../clock.ts';
import type { Config } from '../config.ts';
import { faultOf, rarely, type Log } from '../log.ts';
import type { JobData } from '../jobs.ts';
import type { Metrics } from '../metrics.ts';
import { redisKeys, type Redis } from '../redis.ts';
import type { Outcome } from '../work/outcome.ts';
import { INDEX_QUEUE, JOB_OPTIONS } from './queues.ts';
import { backoffMs, settle } from './settle.ts';

/** What a handler sees of a job. `data` is as somebody put it into the queue. */
export interface TakenJob {
  readonly id: string;
  readonly data: unknown;
  /** Wall clock, milliseconds. */
  readonly queuedAt: number;
}

/** Must not throw but for the signal's reason: then the job is handed back. */
export type Handle = (job: TakenJob, signal: AbortSignal) => Promise<Outcome>;

export interface WorkerDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** A connection that waits for Redis; BullMQ makes a second one of it for blocking. */
  readonly queueRedis: Redis;
  readonly redis: Redis;
  readonly handle: Handle;
  /** Called after BullMQ accepted a completion: what the job left behind can go. */
  readonly onCompleted: (jobId: string, data: JobData) => Promise<void>;
  readonly onOutcome: (outcome: Outcome) => void;
}

export interface QueueWorker {
  /** Resolves when jobs are being taken. */
  ready(): Promise<void>;
  active(): number;
  /** Stops taking, lets jobs finish for `drainMs`, hands the rest back. Never longer than `stopMs`. May be called twice. */
  stop(): Promise<{ handedBack: number; isClean: boolean }>;
}

/** A dead process' jobs are free again after about the sum; renewing costs a script per half lock. */
const LOCK_MS = 20_000;
const STALLED_CHECK_MS = 10_000;
/** A lifetime budget that nothing resets. */
const MAX_STALLS = 3;
/** Seconds; a frozen peer can swallow a wake-up. */
const DRAIN_DELAY = 1;
const LOG_EVERY_MS = 10_000;

/** Takes jobs as they are: what BullMQ cannot read, or whose options would prune others, is made harmless first. */
class SafeWorker extends Worker<JobData, null> {
  protected override createJob(json: JobJson, jobId: string): Job<JobData, null> {
    const job = super.createJob({ ...json, data: isJson(json.data) ? json.data : '{}' }, jobId);
    Object.assign(job.opts, JOB_OPTIONS);
    return job;
  }
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

export function startWorker(deps: WorkerDeps): QueueWorker {
  const { config, clock, log, metrics, redis } = deps;
  const keys = redisKeys(config.queue);
  const settling = { redis, keys, clock, noteLifeMs: config.statusMs };
  const handBack = new AbortController();
  const following = new Set<Promise<void>>();
  let active = 0;
  let handedBack = 0;

  const processor = async (job: Job<JobData, null>, token: string | undefined): Promise<null> => {
    active += 1;
    try {
      const outcome = await outcomeOrHandBack(job);
      if (outcome === 'hand-back') {
        await job.moveToWait(token ?? '');
        handedBack += 1;
        throw new WaitingError();
      }
      deps.onOutcome(outcome);
      return await settle(settling, job, token ?? '', outcome);
    } finally {
      active -= 1;
    }
  };

  const outcomeOrHandBack = async (job: Job<JobData, null>): Promise<Outcome | 'hand-back'> => {
    try {
      return await deps.handle({ id: job.id ?? '', data: job.data, queuedAt: job.timestamp }, handBack.signal);
    } catch (error) {
      if (handBack.signal.aborted) return 'hand-back';
      throw error;
    }
  };

  const worker = new SafeWorker(INDEX_QUEUE, processor, {
    connection: deps.queueRedis,
    prefix: keys.prefix,
    concurrency: config.concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLS,
    drainDelay: DRAIN_DELAY,
    metrics: { maxDataPoints: 60 },
    settings: { backoffStrategy: (attempt) => backoffMs(attempt) },
  });
  const sayRarely = rarely(() => clock.monotonic(), LOG_EVERY_MS);
  worker.on('error', (error) => sayRarely(error.name, () => log.warn(faultOf(error), 'the queue reports an error')));
  worker.on('completed', (job) => {
    const followUp = deps.onCompleted(job.id ?? '', job.data).catch((error: unknown) => {
      log.warn({ ...faultOf(error), job: job.id }, 'the content of a finished job was not removed; the sweep will');
    });
    following.add(followUp);
    void followUp.then(() => following.delete(followUp));
  });
  metrics.gauge('sealdex_jobs_active', () => active);

  let stopping: Promise<{ handedBack: number; isClean: boolean }> | undefined;
  const stop = async (): Promise<{ handedBack: number; isClean: boolean }> => {
    const closed = worker.close().then(() => Promise.all(following));
    const drain = new AbortController();
    const timer = clock.after(config.drainMs, () => handBack.abort(new Error('hand back')));
    const late = (): Error => new Error('late');
    try {
      await withDeadline(clock, config.stopMs, closed, late);
      return { handedBack, isClean: true };
    } catch {
      await Promise.race([worker.close(true), sleep(clock, 200, drain.signal)]);
      return { handedBack, isClean: false };
    } finally {
      drain.abort();
      timer.cancel();
    }
  };

  return {
    ready: () => worker.waitUntilReady(),
    active: () => active,
    stop: () => (stopping ??= stop()),
  };
}
