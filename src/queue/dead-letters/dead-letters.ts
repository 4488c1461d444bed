// Dead letters: the failed sets of all queues as one, for operators. Lists, counts, replays and discards them.
import type { Queue } from 'bullmq';
import type { Clock } from '../../runtime/clock.ts';
import type { Redis } from '../../runtime/redis.ts';
import { discardLetters, type DiscardDeps, type Discarded, type DiscardOptions } from './discard.ts';
import { countLetters, listLetters, tallyLetters } from './find.ts';
import type { LetterCount, LetterFilter, LetterPage } from './find.ts';
import { readLetters, type DeadLetter } from './letter.ts';
import type { ListPosition } from './pages.ts';
import { replayLetters, type Replayed, type ReplayOptions, type ReplayPlace } from './replay.ts';

export interface DeadLetters {
  /** Undefined if the job is not a dead letter. */
  letter(jobId: string): Promise<DeadLetter | undefined>;
  /** Newest first, after the position `after`. */
  list(filter: LetterFilter, limit: number, after?: ListPosition): Promise<LetterPage>;
  /** By tenant and code, from the index: fast, and exact after the next sweep. */
  counts(): Promise<readonly LetterCount[]>;
  /** By code; reads each dead letter. */
  tally(filter: LetterFilter, signal?: AbortSignal): ReturnType<typeof tallyLetters>;
  replay(filter: LetterFilter, options?: ReplayOptions): Promise<Replayed>;
  discard(
    filter: LetterFilter,
    removeContent: DiscardDeps['removeContent'],
    options?: DiscardOptions,
  ): Promise<Discarded>;
}

export interface DeadLettersDeps {
  readonly redis: Redis;
  readonly places: readonly ReplayPlace[];
  readonly clock: Clock;
  readonly replayMaxMs: number;
}

export function createDeadLetters({ redis, places, clock, replayMaxMs }: DeadLettersDeps): DeadLetters {
  return {
    async letter(jobId) {
      const found = await Promise.all(places.map((place) => readLetters(place, [jobId])));
      return found.flat().find((letter) => letter !== undefined);
    },
    list: (filter, limit, after) => listLetters(places, filter, limit, after),
    counts: () => countLetters(places),
    tally: (filter, signal) => tallyLetters(places, filter, signal),
    replay: (filter, options) => replayLetters({ redis, places, clock, replayMaxMs }, filter, options),
    discard: (filter, removeContent, options) => discardLetters({ places, clock, removeContent }, filter, options),
  };
}

/** BullMQ's move out of the failed set, like job.retry(), but without reading the job: its data may be large or invalid JSON. */
export const retrier =
  (queue: Queue): ReplayPlace['retry'] =>
  (id) =>
    queue
      .getBackend()
      .retryFinishedJob(
        { id, opts: {} } as Parameters<ReturnType<Queue['getBackend']>['retryFinishedJob']>[0],
        'failed',
        { resetAttemptsMade: true, resetAttemptsStarted: true },
      );
