// Replay: moves dead letters back into the queue at a limited rate. A job is always in the failed set or in the queue, so a
// killed or concurrent replay loses no job and runs none twice.
import { sleep, type Clock } from '../../runtime/clock.ts';
import { deadlines } from '../../runtime/deadlines.ts';
import { SealdexError } from '../../runtime/errors.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, type Redis } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';
import { createReplayTracker, type ReplayOutcomes, type ReplayTracker } from './replay-tracker.ts';
import { leaveLetter } from './index.ts';
import { walkLetters, type LetterFilter } from './find.ts';
import { failedKey, jobKey, letterQueueOf, type DeadLetter, type LetterPlace } from './letter.ts';

export interface ReplayPlace extends LetterPlace {
  /** Gives jobs the priority of newly queued jobs. Skips jobs that do not exist any more. */
  readonly reprioritize: (jobIds: readonly string[]) => Promise<void>;
  /** BullMQ's move out of the failed set; rejects with BullMQ's code if the job is not there. */
  readonly retry: (jobId: string) => Promise<void>;
}

export interface ReplayDeps {
  readonly redis: Redis;
  readonly places: readonly ReplayPlace[];
  readonly clock: Clock;
  /** A job with an older revision is not replayed: the tombstone of a later deletion may have expired. */
  readonly replayMaxMs: number;
}

/** Options of `replay`. */
export interface ReplayOptions {
  /** Dead letters per second: 50 by default, at most 500. */
  readonly rate?: number | undefined;
  /** Ends the replay between two dead letters. The result counts those that were replayed; the others stay dead letters. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the counts so far. */
  readonly onProgress?: ((replayed: Replayed) => void) | undefined;
}

/** Result of a replay of dead letters. */
export interface Replayed extends ReplayOutcomes {
  /** Number of dead letters that returned to the queue; the outcomes add up to it. */
  readonly sent: number;
  /** Number of dead letters that were replayed or discarded concurrently. */
  readonly alreadyTaken: number;
  /** Number of dead letters that stay, because a replay could bring back deleted documents. */
  readonly tooOld: number;
}

const DEFAULT_RATE = 50;
const MAX_RATE = 500;

const BATCHES_PER_SECOND = 10;
const POLL_INTERVAL_MS = 200;
/** After a slow Redis, at most this much delay is made up for. */
const CATCH_UP_MS = 1000;

/**
 * Replays the jobs that became dead letters before the call. A job that becomes one again is not replayed twice.
 * @throws SealdexError `DOCUMENT_INVALID` with field `rate`; `REDIS_FAILED`: `onProgress` has received the counts until then
 */
export async function replayLetters(
  deps: ReplayDeps,
  filter: LetterFilter,
  { rate = DEFAULT_RATE, signal, onProgress }: ReplayOptions = {},
): Promise<Replayed> {
  if (!(rate > 0 && rate <= MAX_RATE))
    throw new SealdexError('DOCUMENT_INVALID', `rate must be a number up to ${MAX_RATE}.`, { field: 'rate' });
  const watch = createReplayTracker();
  const counts = { sent: 0, alreadyTaken: 0, tooOld: 0 };
  const state = (): Replayed => ({ ...counts, ...watch.outcomes });
  const before = Math.min(filter.before ?? Infinity, deps.clock.now() + 1);
  const oldest = await oldestRevision(deps);
  const pace = createPace(deps.clock, rate);
  const size = Math.ceil(rate / BATCHES_PER_SECOND);
  try {
    for await (const page of walkLetters(deps.places, { ...filter, before }, signal)) {
      const untracked = page.filter(({ jobId }) => !watch.isWatched(jobId));
      const letters = untracked.filter(({ revision = Infinity }) => revision >= oldest);
      counts.tooOld += untracked.length - letters.length;
      for (let at = 0; at < letters.length; at += size) {
        const batch = letters.slice(at, at + size);
        await pace(batch.length, signal);
        for (const [queue, own] of Map.groupBy(batch, (letter) => letter.queue)) {
          const place = letterQueueOf(deps.places, { queue });
          const sent = await sendAgain(place, own);
          watch.add(place, sent);
          counts.sent += sent.length;
          counts.alreadyTaken += own.length - sent.length;
        }
        await watch.poll();
        onProgress?.(state());
      }
    }
    await settled(deps.clock, watch, signal, () => onProgress?.(state()));
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  return state();
}

/** Microseconds, by the clock of Redis, from which revisions come. */
async function oldestRevision({ redis, replayMaxMs }: Pick<ReplayDeps, 'redis' | 'replayMaxMs'>): Promise<number> {
  const [seconds] = await runCommand(redis.time());
  return (Number(seconds) * 1000 - replayMaxMs) * 1000;
}

/** Returns a function that waits until `count` more jobs are within the rate. */
function createPace(clock: Clock, rate: number): (count: number, signal: AbortSignal | undefined) => Promise<void> {
  let next = clock.monotonic();
  return async (count, signal) => {
    const waitMs = next - clock.monotonic();
    if (waitMs > 0) await sleep(clock, waitMs, signal);
    signal?.throwIfAborted();
    next = Math.max(next, clock.monotonic() - CATCH_UP_MS) + (count * 1000) / rate;
  };
}

/** Polls until all jobs have ended, or none has ended for `replayIdleMs`; the rest counts as not ended. */
async function settled(
  clock: Clock,
  watch: ReplayTracker,
  signal: AbortSignal | undefined,
  onProgress: () => void,
): Promise<void> {
  let movedAt = clock.monotonic();
  while (watch.watched > 0 && clock.monotonic() - movedAt < deadlines.replayIdleMs) {
    if ((await watch.poll()) > 0) movedAt = clock.monotonic();
    else await sleep(clock, POLL_INTERVAL_MS, signal);
    onProgress();
  }
}

/**
 * Resets the counters of stalls and parking, which would end the job again at its first error. Only while the job is a dead
 * letter: back in the queue, the counters belong to the replayed job.
 */
const FORGET = script({
  name: 'letter_forget',
  keys: ['failed', 'entry'],
  args: ['jobId'],
  lua: `
    if not redis.call('ZSCORE', failed, jobId) then return 0 end
    return type(redis.pcall('HDEL', entry, 'stc', 'stallsSeen', 'parked', 'defa')) == 'number' and 1 or 0`,
});

/** Returns the ids of the jobs that were still dead letters. */
async function sendAgain(place: ReplayPlace, letters: readonly DeadLetter[]): Promise<string[]> {
  await place.reprioritize(letters.map(({ jobId }) => jobId));
  const sent = await Promise.all(
    letters.map(async (letter) => {
      const { jobId } = letter;
      const input = { failed: failedKey(place), entry: jobKey(place, jobId), jobId };
      if ((await runScript(place.redis, FORGET, input)) !== 1) return false;
      const isSent = await isRetried(place, jobId);
      if (isSent) await leaveLetter(place, letter, { jobId, since: letter.since });
      return isSent;
    }),
  );
  return letters.filter((_, at) => sent[at]).map(({ jobId }) => jobId);
}

/** BullMQ's codes for a job that does not exist, and for one that is not in the failed set. */
const TAKEN: ReadonlySet<unknown> = new Set([-1, -3]);

async function isRetried({ retry }: Pick<ReplayPlace, 'retry'>, jobId: string): Promise<boolean> {
  try {
    await retry(jobId);
    return true;
  } catch (error) {
    if (TAKEN.has((error as { code?: unknown }).code)) return false;
    throw redisFault(error);
  }
}
