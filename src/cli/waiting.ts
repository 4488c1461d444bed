// Wait for jobs: polls jobs until they have ended or are parked, and counts the outcomes. Prints nothing; callers pass callbacks.
import { sleep, type Clock } from '../runtime/clock.ts';
import { deadlines } from '../runtime/deadlines.ts';
import { dispositionOf, SealdexError, type Code } from '../runtime/errors.ts';
import type { JobState, JobStatus, Producer } from '../app/app.ts';

export interface OutcomeCounts {
  readonly done: number;
  readonly superseded: number;
  readonly dead: number;
  /** Jobs that wait for a KMS key or for an operator, which may take days. They resume automatically. */
  readonly parked: number;
}

export interface WaitingDeps<Job> {
  readonly status: Producer['status'];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEnd: (job: Job, state: keyof OutcomeCounts, ended: JobStatus) => void;
  readonly onProgress: (ended: number, total: number) => void;
  /** Called once per stall: after 10 s without a finished job, or if the state of jobs cannot be read. */
  readonly onStall: (reason: StallReason) => void | Promise<void>;
}

/** Reason of a stall, if known. */
export interface StallReason {
  /** The state of jobs could not be read. */
  readonly error?: SealdexError;
  /** Code of one of the jobs that are `retrying`. */
  readonly code?: Code;
}

export interface Waiting<Job> {
  readonly outcomeCounts: OutcomeCounts;
  /** Jobs that have not ended. */
  readonly left: number;
  add(jobs: readonly Job[]): void;
  /**
   * Resolves with true once at most `most` jobs are left, with false if none ended for `waitIdleMs`: jobs may wait
   * for days, so an operator must check.
   * @throws the signal's reason
   */
  until(most: number): Promise<boolean>;
}

export const STALL_NOTICE_MS = 10_000;
const POLL_MS = 200;
const POLLED_AT_ONCE = 200;

/** Whether the job has ended or is parked. */
const isOver = (state: JobState): state is keyof OutcomeCounts =>
  state === 'done' || state === 'superseded' || state === 'dead' || state === 'parked';

export function createWaiting<Job extends { readonly jobId: string }>(deps: WaitingDeps<Job>): Waiting<Job> {
  const { status, clock, signal, onEnd, onProgress, onStall } = deps;
  const outcomeCounts = { done: 0, superseded: 0, dead: 0, parked: 0 };
  let left: Job[] = [];
  let total = 0;

  /** Number of jobs that have ended since the last poll. An outage of Redis does not end the wait. */
  const poll = async (): Promise<{ ended: number; reason: StallReason }> => {
    const asked = left.slice(0, POLLED_AT_ONCE);
    const answers = await Promise.allSettled(asked.map(({ jobId }) => status(jobId)));
    const going: Job[] = [];
    let error: SealdexError | undefined;
    let code: Code | undefined;
    for (const [index, job] of asked.entries()) {
      const answer = answers[index];
      if (answer?.status === 'rejected') error = passing(answer.reason);
      const state = answer?.status === 'fulfilled' ? answer.value.state : 'unknown';
      if (!isOver(state)) {
        if (state === 'retrying' && answer?.status === 'fulfilled') code ??= answer.value.code;
        going.push(job);
        continue;
      }
      outcomeCounts[state] += 1;
      onEnd(job, state, answer?.status === 'fulfilled' ? answer.value : { state });
    }
    // Unfinished jobs move to the end, so that a few stuck jobs do not delay the reading of the rest.
    left = [...left.slice(asked.length), ...going];
    const reason = { ...(error === undefined ? {} : { error }), ...(code === undefined ? {} : { code }) };
    return { ended: asked.length - going.length, reason };
  };

  return {
    outcomeCounts,
    get left() {
      return left.length;
    },
    add(jobs) {
      total += jobs.length;
      left.push(...jobs);
    },
    async until(most) {
      let movedAt = clock.monotonic();
      let isToldStill = false;
      while (left.length > most) {
        signal.throwIfAborted();
        const { ended, reason } = await poll();
        onProgress(total - left.length, total);
        if (ended > 0) {
          movedAt = clock.monotonic();
          isToldStill = false;
          continue;
        }
        const stillMs = clock.monotonic() - movedAt;
        if (stillMs >= deadlines.waitIdleMs) return false;
        if (!isToldStill && (reason.error !== undefined || stillMs >= STALL_NOTICE_MS)) {
          isToldStill = true;
          await onStall(reason);
        }
        await sleep(clock, POLL_MS, signal);
      }
      return true;
    },
  };
}

/** Returns an outage error, and throws any other error. */
function passing(error: unknown): SealdexError {
  if (error instanceof SealdexError && dispositionOf(error.code).disposition === 'retry') return error;
  throw error;
}
