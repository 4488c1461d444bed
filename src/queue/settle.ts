// Settling: the one place where an outcome becomes a move in the queue.
// BullMQ takes the move as a return or a throw, so a settled job always ends in one of the two.
import { DelayedError, UnrecoverableError, type Job } from 'bullmq';
import type { Clock } from '../clock.ts';
import { dispositionOf, type Code } from '../errors.ts';
import { isJobId, type JobData } from '../jobs.ts';
import type { Redis, RedisKeys } from '../redis.ts';
import type { Outcome } from '../work/outcome.ts';
import { writeNote } from './notes.ts';

const FIRST_BACKOFF_MS = 5000;
const LAST_BACKOFF_MS = 600_000;

/** Until the gates exist, a job whose KMS key refuses and one that met a platform fault just come back. */
const PARK_MS = 30_000;
const PAUSE_MS = 5000;

export interface SettleDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly noteLifeMs: number;
  readonly random?: () => number;
}

/** 5 s doubling to 10 min, full jitter: a random time up to that. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return Math.ceil(random() * Math.min(FIRST_BACKOFF_MS * 2 ** Math.max(0, attempt - 1), LAST_BACKOFF_MS)) || 1;
}

/** What a failure is stored as in Redis: a code and a job id; an id that is not of ours may be content. */
export const failureText = (code: Code, jobId: string | undefined): string => `${code} ${isJobId(jobId) ? jobId : '-'}`;

/** Returns for a job that is done, throws what BullMQ needs for every other outcome. Answers what was settled. */
export async function settle(
  deps: SettleDeps,
  job: Job<JobData, null>,
  token: string,
  outcome: Outcome,
): Promise<null> {
  const { redis, keys, clock, noteLifeMs } = deps;
  const jobId = job.id ?? '';
  const note = (state: 'done' | 'superseded' | 'dead' | 'retrying', code?: Code): Promise<void> =>
    isJobId(jobId)
      ? writeNote(redis, keys, clock, jobId, noteLifeMs, { state, ...(code === undefined ? {} : { code }) })
      : Promise.resolve();

  const delay = async (afterMs: number, code: Code): Promise<never> => {
    await note('retrying', code);
    await job.moveToDelayed(clock.now() + afterMs, token);
    throw new DelayedError();
  };

  switch (outcome.kind) {
    case 'done':
      await note(outcome.superseded ? 'superseded' : 'done');
      return null;
    case 'park':
      return delay(jittered(PARK_MS, deps.random), outcome.code);
    case 'pause':
      return delay(jittered(PAUSE_MS, deps.random), outcome.code);
    case 'retry':
      if (!outcome.spendsAttempt) return delay(outcome.afterMs ?? backoffMs(1, deps.random), outcome.code);
      if (isLastAttempt(job, outcome.code)) break;
      await note('retrying', outcome.code);
      // BullMQ counts the attempt and delays by backoffMs(), in one script.
      throw bare(new Error(failureText(outcome.code, jobId)));
    case 'dead':
      break;
  }
  await note('dead', outcome.code);
  throw bare(new UnrecoverableError(failureText(outcome.code, jobId)));
}

export const isLastAttempt = (job: { attemptsMade: number }, code: Code): boolean =>
  job.attemptsMade + 1 >= (dispositionOf(code).attempts || 8);

/** Up to a tenth earlier, so that jobs which wait for the same thing do not come back in one instant. */
const jittered = (ms: number, random: () => number = Math.random): number => Math.ceil(ms * (1 - random() / 10));

/** BullMQ stores the stack: the text says all. */
function bare(error: Error): Error {
  error.stack = error.message;
  return error;
}
