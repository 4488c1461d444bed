// Settling: the one place where an outcome becomes a move in the queue. A move is a return or a throw of a settled error.
// Any other error is a Redis error: the job stays where it is and returns as a stalled job.
import { DelayedError, UnrecoverableError, WaitingError, type Job } from 'bullmq';
import type { Clock } from '../../runtime/clock.ts';
import { dispositionOf, type Code } from '../../runtime/errors.ts';
import { intakeOf, type JobData } from '../../jobs/jobs.ts';
import type { IntakePlace } from '../../runtime/intake-key.ts';
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

/** The backoff grows during an outage, but a job is retried within a minute after its end. */
const LAST_OUTAGE_MS = 60_000;

/** Minimum delay after a platform fault, so that another process can take the job. */
const PAUSE_MS = 5000;

export interface SettleDeps {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly noteLifeMs: number;
  readonly random?: () => number;
  readonly parking: ParkDeps;
  /** Called if a note or an index entry could not be written. */
  readonly onFault?: (error: unknown) => void;
  /** Called for every dead letter. */
  readonly onDead?: (code: Code) => void;
}

/** 5 s, doubling to 10 min, with full jitter: a random time up to that. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  return Math.ceil(random() * Math.min(FIRST_BACKOFF_MS * 2 ** Math.max(0, attempt - 1), LAST_BACKOFF_MS)) || 1;
}

/** Delay of a job that spends no attempt, after it was taken `times` times. */
export const outageMs = (times: number, random?: () => number): number =>
  Math.min(backoffMs(times, random), LAST_OUTAGE_MS);

const settledErrors = new WeakSet<Error>();

/** Whether the error is a move that this module decided. */
export const isSettled = (error: Error): boolean => settledErrors.has(error);

function settled<E extends Error>(error: E): E {
  settledErrors.add(error);
  return error;
}

/** On this error BullMQ does not move the job. Shared, because the stack trace of a new error is expensive. */
const ALREADY_MOVED = settled(new DelayedError());

/**
 * A code without attempts of its own may still spend one, as `STORE_FAILED` does for a denial while the bucket works.
 * It then counts against the job's total attempts.
 */
export const isLastAttempt = (job: { attemptsMade: number }, code: Code): boolean =>
  job.attemptsMade + 1 >= (dispositionOf(code).attempts || JOB_OPTIONS.attempts);

/** Up to a tenth shorter, so that jobs that wait for the same event do not return at the same moment. */
const jittered = (ms: number, random: () => number = Math.random): number => Math.ceil(ms * (1 - random() / 10));

/**
 * Returns for a job that is done, and throws the error that BullMQ needs for every other outcome.
 * If the lock is lost, another process has the job or will have it, and it is left unchanged.
 */
export async function settle(
  deps: SettleDeps,
  job: Job<JobData, null>,
  token: string,
  outcome: Outcome,
): Promise<null> {
  const jobId = job.id ?? '';
  const note = async (state: StatusNote['state'], code?: Code, reason?: string): Promise<void> => {
    const written = { state, ...(code === undefined ? {} : { code }), ...fileReason(code, reason) };
    if (!(await isNoted(deps, job, token, written))) throw ALREADY_MOVED;
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
      // Growing delays: a fault such as one invalid tenant file does not pause the process, and may last for days.
      return delay(Math.max(jittered(PAUSE_MS, deps.random), outageMs(job.attemptsStarted, deps.random)), outcome.code);
    case 'retry':
      if (!outcome.spendsAttempt)
        return delay(outcome.afterMs ?? outageMs(job.attemptsStarted, deps.random), outcome.code);
      if (isLastAttempt(job, outcome.code)) return moveToDead(outcome.code);
      await note('retrying', outcome.code);
      // BullMQ counts the attempt and delays the job by backoffMs(), in one script.
      throw withoutStack(new Error(failureText({ code: outcome.code }, jobId)));
    case 'defer':
      return delay(outcome.afterMs, outcome.code);
    case 'dead':
      break;
  }
  return moveToDead(outcome.code, outcome.reason);
}

/** Puts a job back unchanged: spends no attempt and counts no stall. Returns the error to throw to BullMQ. */
export async function handBack(job: Job<JobData, null>, token: string): Promise<Error> {
  await job.moveToWait(token);
  return settled(new WaitingError());
}

/** Writes the note if this process holds the lock, else returns false. If the write fails, the move continues without it. */
async function isNoted(
  { redis, keys, clock, noteLifeMs, onFault }: SettleDeps,
  job: Job<JobData, null>,
  token: string,
  note: Omit<StatusNote, 'since'>,
): Promise<boolean> {
  if (!isJobId(job.id)) return true;
  const lock = { entry: `${keys.prefix}:${job.queueName}:${job.id}`, token };
  try {
    return await writeStatusNote(
      redis,
      keys,
      clock,
      job.id,
      noteLifeMs,
      note,
      lock,
      contentAtEnd(keys, job, note.state),
    );
  } catch (error) {
    onFault?.(error);
    return true;
  }
}

/** Only a job that is done or superseded has data that were checked. */
function contentAtEnd(
  keys: QueueKeys,
  { id = '', data }: Job<JobData, null>,
  state: StatusNote['state'],
): IntakePlace | undefined {
  return state === 'done' || state === 'superseded' ? intakeOf(keys.installation, id, data) : undefined;
}

/** Adds the dead letter to the index just before BullMQ's move. The sweep adds a missing entry later. */
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

/** BullMQ would store the stack; the text is enough. */
function withoutStack(error: Error): Error {
  error.stack = error.message;
  return settled(error);
}
