// Discarding: removes a dead letter from Redis and from its tenant's backlog in one step, then its content from S3.
// The removal from the failed set decides, so a dead letter is never both replayed and discarded.
import type { Clock } from '../../runtime/clock.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { intakePlaceOf, isNewPlace, type IntakePlace } from '../../runtime/intake-key.ts';
import { BACKLOG, BACKLOG_KEYS, backlogKeys } from '../backlog/backlog.ts';
import { deleteRemovals, REMOVALS } from '../bull/intake-removals.ts';
import { LEAVE, listKey, listName } from './index.ts';
import { walkLetters, type LetterFilter } from './find.ts';
import { failedKey, jobKey, letterQueueOf, type DeadLetter, type LetterPlace } from './letter.ts';

export interface DiscardDeps {
  readonly places: readonly LetterPlace[];
  readonly clock: Clock;
  readonly removeContent: (place: IntakePlace) => Promise<void>;
}

/** Result of discarding dead letters. */
export interface Discarded {
  /** Number of dead letters that were deleted. */
  readonly discarded: number;
  /** Number of dead letters that were replayed or discarded concurrently. */
  readonly alreadyTaken: number;
  /** Number of deleted dead letters whose content is still in S3. It is deleted later. */
  readonly contentLeft: number;
}

/** Options of `discard`. */
export interface DiscardOptions {
  /** Ends the call between two dead letters. The result counts those that were discarded. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the counts so far. */
  readonly onProgress?: ((discarded: Discarded) => void) | undefined;
}

const CONCURRENCY = 50;

/**
 * `beside`: other keys of the job that BullMQ may have written. Does nothing if the job became a dead letter again since it was
 * read. Calls that can fail come first: until `ZREM` it is still a dead letter, and the sweep repairs its list and its count.
 * Returns nil, or the name of its content in S3, which is then a pending removal.
 */
const DISCARD = script({
  name: 'letter_discard',
  keys: ['failed', 'entry', 'list', 'lists', ...BACKLOG_KEYS, 'removals', '...beside'],
  args: ['jobId', 'since', 'name', 'installation'],
  lua: `${LEAVE}${BACKLOG}${REMOVALS}
    local found = redis.call('ZSCORE', failed, jobId)
    if not found or tonumber(found) ~= tonumber(since) then return false end
    local data = field_of(entry, 'data') or ''
    local removal = removal_of(data, installation, jobId)
    leave(list, lists, jobId, since, name)
    if removal then removal_add(removals, removal) end
    entry_leaves(entry)
    redis.call('ZREM', failed, jobId)
    redis.call('DEL', entry, unpack(beside))
    return removal or ''`,
});

const BESIDE = ['logs', 'dependencies', 'processed', 'failed', 'unsuccessful'];

/** Discards the jobs that became dead letters before the call. @throws SealdexError `REDIS_FAILED` */
export async function discardLetters(
  deps: DiscardDeps,
  filter: LetterFilter,
  { signal, onProgress }: DiscardOptions = {},
): Promise<Discarded> {
  const counts = { discarded: 0, alreadyTaken: 0, contentLeft: 0 };
  const before = Math.min(filter.before ?? Infinity, deps.clock.now() + 1);
  try {
    for await (const letters of walkLetters(deps.places, { ...filter, before }, signal)) {
      for (let at = 0; at < letters.length; at += CONCURRENCY) {
        signal?.throwIfAborted();
        const ends = await Promise.all(letters.slice(at, at + CONCURRENCY).map((letter) => discardOne(deps, letter)));
        counts.discarded += ends.filter((end) => end !== 'taken').length;
        counts.alreadyTaken += ends.filter((end) => end === 'taken').length;
        counts.contentLeft += ends.filter((end) => end === 'content left').length;
        onProgress?.({ ...counts });
      }
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  return counts;
}

async function discardOne(deps: DiscardDeps, letter: DeadLetter): Promise<'gone' | 'taken' | 'content left'> {
  const { jobId, since } = letter;
  const place = letterQueueOf(deps.places, letter);
  const entry = jobKey(place, jobId);
  const { letterLists, intakeRemovals, installation } = place.keys;
  const name = await runScript(place.redis, DISCARD, {
    failed: failedKey(place),
    entry,
    list: listKey(place, letter),
    lists: letterLists,
    ...backlogKeys(place.keys),
    removals: intakeRemovals,
    installation,
    beside: BESIDE.map((suffix) => `${entry}:${suffix}`),
    jobId,
    since,
    name: listName(letter),
  });
  if (typeof name !== 'string') return 'taken';
  const content = intakePlaceOf(name);
  // A job that sealdex did not add has no content of its own.
  if (!content || !isNewPlace(content)) return 'gone';
  try {
    await deps.removeContent(content);
    await deleteRemovals(place.redis, place.keys, [name]);
    return 'gone';
  } catch {
    return 'content left';
  }
}
