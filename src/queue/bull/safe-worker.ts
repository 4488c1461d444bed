// BullMQ's worker, hardened: what others put into the queue and what Redis answers late must neither harm it nor end a job.
// Knows entries of the queue and their moves; nothing of outcomes or of what a job means.
import { DelayedError, Worker, type Job, type JobJson, type WorkerOptions } from 'bullmq';
import { SealdexError } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import type { QueueName } from '../../runtime/names.ts';
import type { Redis } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';
import { JOB_OPTIONS } from './queues.ts';
import { isSettled } from './settle.ts';

export type QueueJob = Job<JobData, null>;

type FailedArguments = Parameters<Worker<JobData, null>['handleFailed']>;

/** Redis refuses (out of memory, loading, a script of another version): asking again at once would be a busy loop. */
const REFUSED_MS = 500;

export class SafeWorker extends Worker<JobData, null> {
  readonly #stalledOut = new WeakSet<QueueJob>();

  /** Takes no jobs until `takeJobs()`. */
  constructor(queueName: QueueName, options: WorkerOptions) {
    super(queueName, null, options);
  }

  /** Gives `process` every job with the token of its lock. Called once. */
  takeJobs(process: (job: QueueJob, token: string) => Promise<null>): void {
    this.processFn = (job, token) => process(job, token ?? '');
    this.run().catch((error: unknown) => this.emit('error', error as Error));
  }

  /** Whether BullMQ gave the job up because it stalled too often: then it must not run again. */
  hasStalledOut(job: QueueJob): boolean {
    return this.#stalledOut.has(job);
  }

  /** Lets go of what a close that hangs on Redis has not reached. */
  abandon(): void {
    this.pause(true).catch(() => {});
    this.lockManager.close().catch(() => {});
    this.backend.disconnectBlocking(false).catch(() => {});
  }

  /**
   * Takes entries as they are. A job's own options are replaced: one job's `removeOnFail` would prune all dead letters.
   * No entry goes by another id than the one it was taken by, and none brings a schedule that makes more of its kind.
   */
  protected override createJob(json: JobJson, jobId: string): QueueJob {
    const job = this.#read({ ...json, id: jobId }, jobId);
    Object.assign(job.opts, JOB_OPTIONS);
    delete job.repeatJobKey;
    // BullMQ would fail the job in words of its own, past settle().
    if (job.deferredFailure) this.#stalledOut.add(job);
    job.deferredFailure = '';
    return job;
  }

  #read(json: JobJson, jobId: string): QueueJob {
    try {
      return super.createJob(json, jobId);
    } catch {
      // Data that is no JSON: without any, the job is invalid and ends as such.
      return super.createJob({ ...json, data: '{}' }, jobId);
    }
  }

  protected override async moveToActive(token: string, name?: string): Promise<QueueJob> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      if (!this.closing) await this.delay(REFUSED_MS);
      throw error;
    }
  }

  /**
   * Only what settle() threw may fail a job. Any other error is BullMQ's or Redis' own (a completion that was refused, a
   * lock that was lost): the job stays where it is, and comes back as a stalled one if it is still ours to do.
   */
  protected override handleFailed(...[error, ...rest]: FailedArguments): Promise<QueueJob> {
    if (isSettled(error)) return super.handleFailed(error, ...rest);
    this.emit('error', error);
    return super.handleFailed(new DelayedError(), ...rest);
  }
}

/** BullMQ's error codes that say that the job is not ours (any more). */
const REASONS: Readonly<Record<number, string>> = {
  [-1]: 'JobGone',
  [-2]: 'LockLost',
  [-3]: 'NotActive',
  [-6]: 'LockTaken',
};

/** What may be said of an error of the queue: its messages name jobs, whose ids may be anything. */
export function queueFault(error: unknown): SealdexError {
  const reason = error instanceof Error ? reasonOf(error) : undefined;
  return reason === undefined ? redisFault(error) : new SealdexError('REDIS_FAILED', undefined, { reason });
}

function reasonOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return error.message.startsWith('could not renew lock') ? 'LockLost' : REASONS[Number(code)];
}

/** What BullMQ reads of an entry as JSON before it makes a job of it. */
const JSON_FIELDS = { opts: '{}', progress: '0', parent: undefined } as const;

/**
 * Makes a stalled entry readable. An entry with broken options is taken, cannot be made a job of, stalls, and would do so
 * for ever; with empty ones it is taken as what it is and ends as invalid.
 */
export async function repairEntry(redis: Redis, entryKey: string): Promise<void> {
  const texts = await redis.hmget(entryKey, ...Object.keys(JSON_FIELDS));
  for (const [index, [field, blank]] of Object.entries(JSON_FIELDS).entries()) {
    const text = texts[index];
    if (text === null || text === undefined || isReadable(field, text)) continue;
    await (blank === undefined ? redis.hdel(entryKey, field) : redis.hset(entryKey, field, blank));
  }
}

function isReadable(field: string, text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return field !== 'opts' || (typeof value === 'object' && value !== null);
  } catch {
    return false;
  }
}
