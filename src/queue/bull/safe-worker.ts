// Hardened BullMQ worker: neither invalid entries nor late Redis responses stop the worker or fail a job.
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

/** If Redis rejects the command (out of memory, loading, script of another version), an immediate retry would be a busy loop. */
const REFUSED_MS = 500;

export class SafeWorker extends Worker<JobData, null> {
  readonly #stalledOut = new WeakSet<QueueJob>();

  /** Takes no jobs until `takeJobs()`. */
  constructor(queueName: QueueName, options: WorkerOptions) {
    super(queueName, null, options);
  }

  /** Calls `process` with every job and the token of its lock. Call once. */
  takeJobs(process: (job: QueueJob, token: string) => Promise<null>): void {
    this.processFn = (job, token) => process(job, token ?? '');
    this.run().catch((error: unknown) => this.emit('error', error as Error));
  }

  /** Whether the job stalled too often and must not run again. */
  hasStalledOut(job: QueueJob): boolean {
    return this.#stalledOut.has(job);
  }

  /** Releases the resources that are left if `close` hangs on Redis. */
  abandon(): void {
    this.pause(true).catch(() => {});
    this.lockManager.close().catch(() => {});
    this.backend.disconnectBlocking(false).catch(() => {});
  }

  /**
   * Makes a job of any entry. Replaces the job's own options: `removeOnFail` of one job would prune all dead letters.
   * Keeps the id under which the entry was taken, and removes a schedule, which would add more jobs.
   */
  protected override createJob(json: JobJson, jobId: string): QueueJob {
    const job = this.#read({ ...json, id: jobId }, jobId);
    Object.assign(job.opts, JOB_OPTIONS);
    delete job.repeatJobKey;
    // BullMQ would fail the job with its own text, without settle().
    if (job.deferredFailure) this.#stalledOut.add(job);
    job.deferredFailure = '';
    return job;
  }

  #read(json: JobJson, jobId: string): QueueJob {
    try {
      return super.createJob(json, jobId);
    } catch {
      // The data is not JSON. With empty data the job ends as invalid.
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
   * Only errors of settle() may fail a job. Any other error comes from BullMQ or Redis, such as a lost lock. The job then
   * stays where it is, and returns as a stalled job unless another process has it.
   */
  protected override handleFailed(...[error, ...rest]: FailedArguments): Promise<QueueJob> {
    if (isSettled(error)) return super.handleFailed(error, ...rest);
    this.emit('error', error);
    return super.handleFailed(new DelayedError(), ...rest);
  }
}

/** BullMQ's error codes for a job that this process does not hold. */
const REASONS: Readonly<Record<number, string>> = {
  [-1]: 'JobGone',
  [-2]: 'LockLost',
  [-3]: 'NotActive',
  [-6]: 'LockTaken',
};

/** Converts a queue error without its message, which names jobs: their ids may be content. */
export function queueFault(error: unknown): SealdexError {
  const reason = error instanceof Error ? reasonOf(error) : undefined;
  return reason === undefined ? redisFault(error) : new SealdexError('REDIS_FAILED', undefined, { reason });
}

function reasonOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return error.message.startsWith('could not renew lock') ? 'LockLost' : REASONS[Number(code)];
}

/** Fields of an entry that BullMQ parses as JSON before `createJob`, and their empty values. */
const JSON_FIELDS = { opts: '{}', progress: '0', parent: undefined } as const;

/**
 * Makes a stalled entry readable. An entry with broken options can be taken but not parsed, so it would stall forever.
 * With empty options it ends as an invalid job.
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
