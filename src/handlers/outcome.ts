// Maps errors to outcomes: the one place where an error becomes the outcome of a job.
// Knows the code table and the canary; nothing of queues or how an outcome is settled.
import { dispositionOf, SealdexError, type Code } from '../runtime/errors.ts';
import { gateId, keyRef } from '../runtime/key-ref.ts';
import { INTAKE_REFUSED } from '../intake/intake.ts';
import type { Outcome } from '../jobs/outcome.ts';
import { isRefusal } from '../store/store.ts';

/** Says whether the bucket works: writes an object, reads it, removes it. */
export type Canary = (signal: AbortSignal) => Promise<boolean>;

/** A job from a newer producer waits this long for its worker to be deployed. */
const NEWER_MS = 3_600_000;
const NEWER_RETRY_MS = 30_000;

/** Random within these bounds, in ms: jobs that were deferred together do not come back together. */
const DEFER_MS = { min: 1000, max: 5000 };
/** Such a job has held a slot for 60 s. */
const DEFER_FOR_MEMORY_MS = { min: 5000, max: 30_000 };

/** Puts a job back so that other jobs can run first. No failure, and no attempt is spent. */
export function deferToOtherJobs(code: Code): Outcome {
  const { min, max } = code === 'MEMORY_BUDGET_FULL' ? DEFER_FOR_MEMORY_MS : DEFER_MS;
  return { kind: 'defer', code, afterMs: min + Math.round(Math.random() * (max - min)) };
}

/** What is known of the job that met an error. */
export interface JobContext {
  /** '' when its data could not be read. */
  readonly tenant: string;
  /** Time since the job was queued. */
  readonly ageMs: number;
}

/** An error as an outcome. */
export async function outcomeOf(
  error: unknown,
  { tenant, ageMs }: JobContext,
  canary: Canary,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!(error instanceof SealdexError)) return { kind: 'retry', code: 'INTERNAL', spendsAttempt: true };
  const { code, reason, keyArn } = error;
  if (isRefusal(error) || reason === INTAKE_REFUSED) {
    if (!(await canary(signal))) return { kind: 'pause', code: 'PLATFORM_STORE' };
    // Without ListBucket S3 answers 403 for what is not there; but a policy that flaps answers so for what is. So the job
    // asks again, and its content counts as missing once its attempts are spent.
    return { kind: 'retry', code: reason === INTAKE_REFUSED ? 'CONTENT_MISSING' : code, spendsAttempt: true };
  }
  if (code === 'JOB_NEWER')
    // An age that is no number, or lies in the future, is an enqueuer's invention and would never end.
    return Math.abs(ageMs) <= NEWER_MS
      ? { kind: 'retry', code, spendsAttempt: false, afterMs: NEWER_RETRY_MS }
      : { kind: 'dead', code };
  // KMS is eventually consistent: while a whole key is being revoked, a past period may be refused before the current one
  // is. So the job asks again, and its period counts as denied once its attempts are spent.
  if (code === 'PERIOD_DENIED') return { kind: 'retry', code, spendsAttempt: true };
  const { disposition, attempts = 0 } = dispositionOf(code);
  if (disposition === 'retry') return { kind: 'retry', code, spendsAttempt: attempts > 0 };
  if (disposition === 'defer') return deferToOtherJobs(code);
  if (disposition === 'park') {
    // Whoever says so names the KMS key: without it there would be no gate to bring the job back.
    return keyArn === undefined
      ? { kind: 'retry', code, spendsAttempt: false }
      : { kind: 'park', code, gate: gateId(keyRef(tenant, keyArn)) };
  }
  // `none` is a code that no job should meet: somebody's mistake, kept as a dead letter after its attempts.
  if (disposition === 'none') return { kind: 'retry', code: 'INTERNAL', spendsAttempt: true };
  return disposition === 'dead' && code.startsWith('FILE_') && reason !== undefined
    ? { kind: 'dead', code, reason }
    : { kind: disposition, code };
}
