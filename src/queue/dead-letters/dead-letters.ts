// Dead letters as operators see them: the failed sets of BullMQ's queues as one, listed, replayed and discarded. How each is done is in the files beside.
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
  /** Undefined for what is no dead letter. */
  letter(jobId: string): Promise<DeadLetter | undefined>;
  /** Newest first, behind `after`. */
  list(filter: LetterFilter, limit: number, after?: ListPosition): Promise<LetterPage>;
  /** Letters by tenant and code: quick, and right after the next sweep. */
  counts(): Promise<readonly LetterCount[]>;
  /** Letters by code, each looked at. */
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
  /** Each queue's own. */
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

/** BullMQ's move out of a queue's failed set, as job.retry() does it, without reading the job first, whose data may be large and no JSON. */
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
