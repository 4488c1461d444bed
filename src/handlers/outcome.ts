// Error mapping: the one place where an error becomes the outcome of a job. Must not import queue code.
import { dispositionOf, SealdexError, type Code } from '../runtime/errors.ts';
import { gateId, keyRef } from '../runtime/key-ref.ts';
import { INTAKE_REFUSED } from '../intake/intake.ts';
import type { Outcome } from '../jobs/outcome.ts';
import { isRefusal } from '../store/store.ts';

/** Returns whether the bucket works: writes, reads and removes an object. */
export type Canary = (signal: AbortSignal) => Promise<boolean>;

/** Delay of a job from a newer producer: a tenth of its age within these bounds, until newer workers are deployed. */
const NEWER_RETRY_MS = { min: 30_000, max: 600_000 };
/** The clock of the program that added the job may be ahead. */
const MAX_AHEAD_MS = 3_600_000;

/** Random delay within these bounds, so that jobs that were deferred together do not come back together. */
const DEFER_MS = { min: 1000, max: 5000 };
/** Such a job has held a slot for 60 s. */
const DEFER_FOR_MEMORY_MS = { min: 5000, max: 30_000 };

/** Defers a job so that other jobs can run first. Not a failure, and spends no attempt. */
export function deferToOtherJobs(code: Code): Outcome {
  const { min, max } = code === 'MEMORY_BUDGET_FULL' ? DEFER_FOR_MEMORY_MS : DEFER_MS;
  return { kind: 'defer', code, afterMs: min + Math.round(Math.random() * (max - min)) };
}

export interface JobContext {
  /** Empty if the job data could not be parsed. */
  readonly tenant: string;
  /** Time since the job was queued, in milliseconds. */
  readonly ageMs: number;
  /** Maximum age of a job that waits for newer workers, in milliseconds. */
  readonly parkedMaxMs: number;
}

/** Waits as long as a parked job. With an invalid time, such as one far in the future, the retries would never end. */
function waitForNewerWorkers({ ageMs, parkedMaxMs }: JobContext): Outcome {
  if (!(ageMs >= -MAX_AHEAD_MS && ageMs <= parkedMaxMs)) return { kind: 'dead', code: 'JOB_NEWER' };
  const afterMs = Math.min(Math.max(NEWER_RETRY_MS.min, Math.round(ageMs / 10)), NEWER_RETRY_MS.max);
  return { kind: 'retry', code: 'JOB_NEWER', spendsAttempt: false, afterMs };
}

/** @throws the reason of `signal` if it is aborted during the canary */
export async function outcomeOf(
  error: unknown,
  job: JobContext,
  canary: Canary,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!(error instanceof SealdexError)) return { kind: 'retry', code: 'INTERNAL', spendsAttempt: true };
  const { code, reason, keyArn } = error;
  if (isRefusal(error) || reason === INTAKE_REFUSED) {
    if (!(await canary(signal))) return { kind: 'pause', code: 'PLATFORM_STORE' };
    // Without ListBucket S3 returns 403 for a missing object, but a flapping policy does so for one that exists.
    // The job is retried, and its content counts as missing once its attempts are spent.
    return { kind: 'retry', code: reason === INTAKE_REFUSED ? 'CONTENT_MISSING' : code, spendsAttempt: true };
  }
  if (code === 'JOB_NEWER') return waitForNewerWorkers(job);
  // KMS is eventually consistent: while a key is being revoked, a past period may be denied before the current one is.
  // The job is retried, and its period counts as denied once its attempts are spent.
  if (code === 'PERIOD_DENIED') return { kind: 'retry', code, spendsAttempt: true };
  const { disposition, attempts = 0 } = dispositionOf(code);
  if (disposition === 'retry') return { kind: 'retry', code, spendsAttempt: attempts > 0 };
  if (disposition === 'defer') return deferToOtherJobs(code);
  if (disposition === 'park') {
    // Without a KMS key there is no gate that would release the job.
    return keyArn === undefined
      ? { kind: 'retry', code, spendsAttempt: false }
      : { kind: 'park', code, gate: gateId(keyRef(job.tenant, keyArn)) };
  }
  // No job should fail with a code of disposition `none`: a bug, kept as a dead letter after its attempts.
  if (disposition === 'none') return { kind: 'retry', code: 'INTERNAL', spendsAttempt: true };
  return disposition === 'dead' && code.startsWith('FILE_') && reason !== undefined
    ? { kind: 'dead', code, reason }
    : { kind: disposition, code };
}
