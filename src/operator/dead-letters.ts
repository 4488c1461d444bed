// What an operator asks of dead letters and does about them. Answers in plain facts.
// How letters are found and moved is the queue's business; content in S3 is removed here, for the queue cannot.
import { SealdexError } from '../runtime/errors.ts';
import { removeContent } from '../intake/intake.ts';
import type { DeadLetters } from '../queue/dead-letters/dead-letters.ts';
import type { Discarded, DiscardOptions } from '../queue/dead-letters/discard.ts';
import type { LetterFilter } from '../queue/dead-letters/find.ts';
import type { DeadLetter } from '../queue/dead-letters/letter.ts';
import type { ListPosition } from '../queue/dead-letters/pages.ts';
import type { Replayed, ReplayOptions } from '../queue/dead-letters/replay.ts';
import type { Store } from '../store/store.ts';

export type { Discarded, DeadLetter, LetterFilter, Replayed };

export interface LetterOperator {
  /**
   * Newest first. `next`, when there may be more, is what to give as `after`.
   * @throws SealdexError `DOCUMENT_INVALID` with field `after`
   */
  deadList(
    filter: Omit<LetterFilter, 'jobIds' | 'limit'>,
    page: { readonly limit: number; readonly after?: string | undefined },
  ): Promise<{ readonly letters: readonly DeadLetter[]; readonly next?: string }>;
  /** Undefined for what is no dead letter. */
  deadShow(jobId: string): Promise<DeadLetter | undefined>;
  /** How many letters the filter names, by code: each is looked at, none is touched. */
  deadTally(filter: LetterFilter, signal?: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /**
   * Sends dead letters again, those that died up to now, and tells how they ended.
   * @throws SealdexError `DOCUMENT_INVALID` with field `rate`; `REDIS_FAILED`: run it again, it takes what is left
   */
  replay(filter: LetterFilter, options?: ReplayOptions): Promise<Replayed>;
  /** Removes dead letters for good, with their content. @throws SealdexError `REDIS_FAILED` */
  discard(filter: LetterFilter, options?: DiscardOptions): Promise<Discarded>;
}

/** A place in a list as one word that a shell leaves alone, whatever somebody has called a job. */
const textOf = ({ since, jobId }: ListPosition): string => `${since}:${encodeURIComponent(jobId)}`;

export function createLetterOperator(letters: DeadLetters, store: Store): LetterOperator {
  return {
    async deadList(filter, { limit, after }) {
      const page = await letters.list(filter, limit, after === undefined ? undefined : spotIn(after));
      return { letters: page.letters, ...(page.next ? { next: textOf(page.next) } : {}) };
    },
    deadShow: (jobId) => letters.letter(jobId),
    deadTally: (filter, signal) => letters.tally(filter, signal),
    replay: (filter, options) => letters.replay(filter, options),
    discard: (filter, options) => letters.discard(filter, (content) => removeContent(store, content), options),
  };
}

const PLACE = /^(\d{1,16}(?:\.\d{1,9})?):((?:[\w.!~*'()-]|%[0-9A-F]{2})+)$/;

function spotIn(text: string): ListPosition {
  const [, since = '', jobId = ''] = PLACE.exec(text) ?? [];
  if (since === '')
    throw new SealdexError('DOCUMENT_INVALID', 'after must be a place that a list gave.', { field: 'after' });
  return { since: Number(since), jobId: decodeURIComponent(jobId) };
}
