// Settling: the one place where an outcome becomes a move in the queue.
// BullMQ takes the move as a return or a throw, so a settled job always ends in one of the two. Any other error is a fault
// of Redis and not of the job: who meets it leaves the job where it is, to come back as a stalled one.
import { DelayedError, UnrecoverableError, WaitingError, type Job } from 'bullmq';
import type { Clock } from '../../runtime/clock.ts';
import { dispositionOf, type Code } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import { isJobId } from '../../runtime/names.ts';
import type { Redis, QueueKeys } from '../../runtime/redis.ts';
import type { Outcome } from '../../jobs/outcome.ts';
import { failureText, fileReason } from './failure-text.ts';
import { indexLetters, tenantIn } from '../dead-letters/index.ts';
import { jobKey } from '../dead-letters/letter.ts';
import { writeStatusNote, type StatusNote } from './status-notes.ts';
import { park, type ParkDeps } from '../parked/parked.ts';
import { JOB_OPTIONS } from './queues.ts';

const FIRST_BACKOFF_MS = 5000;
const LAST_BACKOFF_MS = 600_000;

/** A job that waits for an outage to end asks less and less often, but hears of the end within a minute. */
const LAST_OUTAGE_MS = 60_000;

/** A job that met a platform fault comes back to a process that has been mended, or to another one. */
const PAUSE_MS = 5000;

export interface SettleDeps {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly noteLifeMs: number;
  readonly random?: () => number;
  readonly parking: ParkDeps;
  /** Hears of a note that could not be written. */
  readonly onFault?: (error: unknown) => void;
  /** Hears of every dead letter. */
  readonly onDead?: (code: Code) => void;
}

/** 5 s doubling to 10 min, full jitter: a random time up to that. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return Math.ceil(random() * Math.min(FIRST_BACKOFF_MS * 2 ** Math.max(0, attempt - 1), LAST_BACKOFF_MS)) || 1;
}

/** The wait of a job that spends no attempt, after it was taken `times` times. */
export const outageMs = (times: number, random?: () => number): number =>
  Math.min(backoffMs(times, random), LAST_OUTAGE_MS);

const settledErrors = new WeakSet<Error>();

/** Whether the error came from here and tells BullMQ what becomes of the job. */
export const isSettled = (error: Error): boolean => settledErrors.has(error);

function settled<E extends Error>(error: E): E {
  settledErrors.add(error);
  return error;
}

/** BullMQ does nothing about a job that was delayed. One for all: the trace of a new one costs more than the rest of it. */
const ALREADY_MOVED = settled(new DelayedError());

/**
 * A code that by itself spends none may still cost an attempt, as `STORE_FAILED` by a refusal while the bucket works: it
 * is one of all that a job has.
 */
export const isLastAttempt = (job: { attemptsMade: number }, code: Code): boolean =>
  job.attemptsMade + 1 >= (dispositionOf(code).attempts || JOB_OPTIONS.attempts);

/** Up to a tenth earlier, so that jobs which wait for the same thing do not come back in one instant. */
const jittered = (ms: number, random: () => number = Math.random): number => Math.ceil(ms * (1 - random() / 10));

/**
 * Returns for a job that is done, throws what BullMQ needs for every other outcome.
 * A job whose lock is lost is another's by now, or will be: nothing is said or done about it any more.
 */
export async function settle(
  deps: SettleDeps,
  job: Job<JobData, null>,
  token: string,
  outcome: Outcome,
): Promise<null> {
  const jobId = job.id ?? '';
  const note = async (state: StatusNote['state'], code?: Code, reason?: string): Promise<void> => {
    const said = { state, ...(code === undefined ? {} : { code }), ...fileReason(code, reason) };
    if (!(await isNoted(deps, job, token, said))) throw ALREADY_MOVED;
  };
  const delay = async (afterMs: number, code: Code): Promise<never> => {
    await note('retrying', code);
    await job.moveToDelayed(deps.clock.now() + afterMs, token);
    throw ALREADY_MOVED;
  };

  const moveToDead = async (code: Code, reason?: string): Promise<never> => {
    await note('dead', code, reason);
    await indexLetter(deps, job, token, code);
    deps.onDead?.(code);
    throw withoutStack(new UnrecoverableError(failureText({ code, ...fileReason(code, reason) }, jobId)));
  };

  switch (outcome.kind) {
    case 'done':
      await note(outcome.superseded ? 'superseded' : 'done');
      return null;
    case 'park':
      if ((await park(deps.parking, job, token, outcome)) === 'parked') throw ALREADY_MOVED;
      return moveToDead('PARKED_TOO_LONG');
    case 'pause':
      // Longer and longer: what is one tenant's file at fault, say, pauses nobody, and may take days to be mended.
      return delay(Math.max(jittered(PAUSE_MS, deps.random), outageMs(job.attemptsStarted, deps.random)), outcome.code);
    case 'retry':
      if (!outcome.spendsAttempt)
        return delay(outcome.afterMs ?? outageMs(job.attemptsStarted, deps.random), outcome.code);
      if (isLastAttempt(job, outcome.code)) return moveToDead(outcome.code);
      await note('retrying', outcome.code);
      // BullMQ counts the attempt and delays by backoffMs(), in one script.
      throw withoutStack(new Error(failureText({ code: outcome.code }, jobId)));
    case 'defer':
      return delay(outcome.afterMs, outcome.code);
    case 'dead':
      break;
  }
  return moveToDead(outcome.code, outcome.reason);
}

/** Puts a job back as it was: no attempt is spent and no stall counted. Answers what BullMQ needs to be thrown. */
export async function handBack(job: Job<JobData, null>, token: string): Promise<Error> {
  await job.moveToWait(token);
  return settled(new WaitingError());
}

/** Writes the note while the lock is ours; false when it is not. Without Redis there is no note, and the move goes on. */
async function isNoted(
  { redis, keys, clock, noteLifeMs, onFault }: SettleDeps,
  job: Job<JobData, null>,
  token: string,
  note: Omit<StatusNote, 'since'>,
): Promise<boolean> {
  if (!isJobId(job.id)) return true;
  const lock = { entry: `${keys.prefix}:${job.queueName}:${job.id}`, token };
  try {
    return await writeStatusNote(redis, keys, clock, job.id, noteLifeMs, note, lock);
  } catch (error) {
    onFault?.(error);
    return true;
  }
}

/** Enters the letter into the index, one step before BullMQ's move makes it one. What is missing there, the sweep adds. */
async function indexLetter(
  { redis, keys, clock, onFault }: SettleDeps,
  job: Job<JobData, null>,
  token: string,
  code: Code,
): Promise<void> {
  const place = { redis, keys };
  const jobId = job.id ?? '';
  const lock = { key: `${jobKey(place, jobId)}:lock`, token };
  try {
    await indexLetters(place, { ...tenantIn(job.data), code }, [{ jobId, since: clock.now() }], lock);
  } catch (error) {
    onFault?.(error);
  }
}

/** BullMQ stores the stack: the text says all. */
function withoutStack(error: Error): Error {
  error.stack = error.message;
  return settled(error);
}
