// Waits for jobs to end, or to be parked, by asking for them again and again, and counts how they ended.
// Prints nothing; who wants to see something gives functions that are told.
import { sleep, type Clock } from '../runtime/clock.ts';
import { deadlines } from '../runtime/deadlines.ts';
import { dispositionOf, SealdexError, type Code } from '../runtime/errors.ts';
import type { JobState, JobStatus, Producer } from '../app/app.ts';

export interface OutcomeCounts {
  readonly done: number;
  readonly superseded: number;
  readonly dead: number;
  /** They wait for a KMS key or for the operator, which may take days, and go on by themselves. */
  readonly parked: number;
}

export interface WaitingDeps<Job> {
  readonly status: Producer['status'];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEnd: (job: Job, state: keyof OutcomeCounts, ended: JobStatus) => void;
  readonly onProgress: (ended: number, total: number) => void;
  /** Once in each time that nothing moves: after ten seconds, or when the state of jobs cannot be asked for. */
  readonly onStall: (reason: StallReason) => void;
}

/** Why nothing moves, as far as it is known. */
export interface StallReason {
  /** The state of jobs could not be read. */
  readonly error?: SealdexError;
  /** What one of the jobs that are `retrying` waits for. */
  readonly code?: Code;
}

export interface Waiting<Job> {
  readonly outcomeCounts: OutcomeCounts;
  /** Jobs that have not ended. */
  readonly left: number;
  add(jobs: readonly Job[]): void;
  /**
   * Resolves with true once no more than `most` jobs are left, with false if none ended for `waitIdleMs`: jobs may wait
   * for days, so an operator must check.
   * @throws the signal's reason
   */
  until(most: number): Promise<boolean>;
}

export const STALL_NOTICE_MS = 10_000;
const POLL_MS = 200;
const POLLED_AT_ONCE = 200;

/** Nothing more is to be seen of it soon. */
const isOver = (state: JobState): state is keyof OutcomeCounts =>
  state === 'done' || state === 'superseded' || state === 'dead' || state === 'parked';

export function createWaiting<Job extends { readonly jobId: string }>(deps: WaitingDeps<Job>): Waiting<Job> {
  const { status, clock, signal, onEnd, onProgress, onStall } = deps;
  const outcomeCounts = { done: 0, superseded: 0, dead: 0, parked: 0 };
  let left: Job[] = [];
  let total = 0;

  /** How many have ended since the last look. An outage of Redis is waited for, like everything else. */
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
    // Those that did not move go to the end, so that a few stuck jobs do not hide the rest.
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
          onStall(reason);
        }
        await sleep(clock, POLL_MS, signal);
      }
      return true;
    },
  };
}

/** @throws what will not pass */
function passing(error: unknown): SealdexError {
  if (error instanceof SealdexError && dispositionOf(error.code).disposition === 'retry') return error;
  throw error;
}
