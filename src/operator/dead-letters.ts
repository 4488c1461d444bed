// Dead-letter operations of the operator. Removes the content in S3 of discarded dead letters, since the queue must not import S3.
import { SealdexError } from '../runtime/errors.ts';
import { knownFields, type FieldNames } from '../runtime/known-fields.ts';
import type { DeadLetters } from '../queue/dead-letters/dead-letters.ts';
import type { Discarded, DiscardOptions } from '../queue/dead-letters/discard.ts';
import type { LetterFilter } from '../queue/dead-letters/find.ts';
import type { DeadLetter } from '../queue/dead-letters/letter.ts';
import type { ListPosition } from '../queue/dead-letters/pages.ts';
import type { Replayed, ReplayOptions } from '../queue/dead-letters/replay.ts';
import { removeIntakeOfAnyForm } from '../store/intake.ts';
import type { Store } from '../store/store.ts';

export type { Discarded, DiscardOptions, DeadLetter, LetterFilter, Replayed, ReplayOptions };

export interface LetterOperator {
  /**
   * A page of dead letters, newest first. If there may be more, `next` is the `after` of the next page.
   * @throws SealdexError `DOCUMENT_INVALID` with field `after`
   */
  deadList(
    filter: Omit<LetterFilter, 'jobIds' | 'limit'>,
    page: { readonly limit: number; readonly after?: string | undefined },
  ): Promise<{ readonly letters: readonly DeadLetter[]; readonly next?: string }>;
  /** A dead letter; undefined if the job is not one. */
  deadShow(jobId: string): Promise<DeadLetter | undefined>;
  /** Number of dead letters that the filter selects, by code. Reads each of them and changes none. */
  deadTally(filter: LetterFilter, signal?: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /**
   * Returns dead letters to the queue and waits for their outcomes. Jobs that fail again during the replay are not replayed again.
   * @throws SealdexError `DOCUMENT_INVALID` with field `rate`; `REDIS_FAILED`: call it again for the rest
   */
  replay(filter: LetterFilter, options?: ReplayOptions): Promise<Replayed>;
  /** Deletes dead letters permanently, with their content. @throws SealdexError `REDIS_FAILED` */
  discard(filter: LetterFilter, options?: DiscardOptions): Promise<Discarded>;
}

/** A list position as text without characters that a shell interprets, for any job id. */
const textOf = ({ since, jobId }: ListPosition): string => `${since}:${encodeURIComponent(jobId)}`;

const FILTER: FieldNames<LetterFilter> = {
  tenant: true,
  code: true,
  since: true,
  before: true,
  jobIds: true,
  limit: true,
};
const REPLAY: FieldNames<ReplayOptions> = { rate: true, signal: true, onProgress: true };
const DISCARD: FieldNames<DiscardOptions> = { signal: true, onProgress: true };

export function createLetterOperator(letters: DeadLetters, store: Store): LetterOperator {
  return {
    async deadList(filter, { limit, after }) {
      const page = await letters.list(
        knownFields(filter, FILTER),
        limit,
        after === undefined ? undefined : spotIn(after),
      );
      return { letters: page.letters, ...(page.next ? { next: textOf(page.next) } : {}) };
    },
    deadShow: (jobId) => letters.letter(jobId),
    deadTally: async (filter, signal) => letters.tally(knownFields(filter, FILTER), signal),
    replay: async (filter, options = {}) => letters.replay(knownFields(filter, FILTER), knownFields(options, REPLAY)),
    discard: async (filter, options = {}) =>
      letters.discard(
        knownFields(filter, FILTER),
        (place) => removeIntakeOfAnyForm(store, place),
        knownFields(options, DISCARD),
      ),
  };
}

const PLACE = /^(\d{1,16}(?:\.\d{1,9})?):((?:[\w.!~*'()-]|%[0-9A-F]{2})+)$/;

function spotIn(text: string): ListPosition {
  const [, since = '', jobId = ''] = PLACE.exec(text) ?? [];
  if (since === '')
    throw new SealdexError('DOCUMENT_INVALID', 'after must be a cursor returned as next.', { field: 'after' });
  return { since: Number(since), jobId: decodeURIComponent(jobId) };
}
