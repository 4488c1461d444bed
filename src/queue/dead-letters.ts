// Dead letters as operators see them: BullMQ's failed set, listed, replayed and discarded. How each is done is in letters/.
import type { Queue } from 'bullmq';
import type { Clock } from '../clock.ts';
import type { Redis, RedisKeys } from '../redis.ts';
import { discardLetters, type DiscardDeps, type Discarded, type DiscardOptions } from './letters/discard.ts';
import { countLetters, listLetters, tallyLetters } from './letters/find.ts';
import type { LetterCount, LetterFilter, LetterPage } from './letters/find.ts';
import { readLetters, type Letter } from './letters/letter.ts';
import type { Spot } from './letters/pages.ts';
import { replayLetters, type Replayed, type ReplayOptions } from './letters/replay.ts';

export interface DeadLetters {
  /** Undefined for what is no dead letter. */
  letter(jobId: string): Promise<Letter | undefined>;
  /** Newest first, behind `after`. */
  list(filter: LetterFilter, limit: number, after?: Spot): Promise<LetterPage>;
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
  readonly queue: Queue;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly replayMaxMs: number;
  readonly restamp: (jobIds: readonly string[]) => Promise<void>;
}

export function createDeadLetters({ queue, redis, keys, clock, replayMaxMs, restamp }: DeadLettersDeps): DeadLetters {
  const place = { redis, keys, queueName: queue.name };
  // As job.retry() does it, without reading the job first, whose data may be large and no JSON.
  const retry = (id: string): Promise<void> =>
    queue
      .getBackend()
      .retryFinishedJob(
        { id, opts: {} } as Parameters<ReturnType<Queue['getBackend']>['retryFinishedJob']>[0],
        'failed',
        {
          resetAttemptsMade: true,
          resetAttemptsStarted: true,
        },
      );
  return {
    letter: async (jobId) => (await readLetters(place, [jobId]))[0],
    list: (filter, limit, after) => listLetters(place, filter, limit, after),
    counts: () => countLetters(place),
    tally: (filter, signal) => tallyLetters(place, filter, signal),
    replay: (filter, options) => replayLetters({ ...place, clock, replayMaxMs, restamp, retry }, filter, options),
    discard: (filter, removeContent, options) => discardLetters({ ...place, clock, removeContent }, filter, options),
  };
}
