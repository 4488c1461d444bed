// Discarding: a dead letter leaves the failed set, Redis and its tenant's backlog in one step; its content in S3 goes last.
// Whoever takes the letter out of the failed set has it, so a replay at the same time and a discard never both do.
import type { Clock } from '../../runtime/clock.ts';
import { INTAKE_ID, isJobId } from '../../runtime/names.ts';
import { run, type Script } from '../../runtime/redis.ts';
import { BACKLOG } from '../backlog/backlog.ts';
import { LEAVE, listKey, listName } from './index.ts';
import { walkLetters, type LetterFilter } from './find.ts';
import { failedKey, jobKey, placeOf, type Letter, type LetterPlace } from './letter.ts';

/** Content in S3 that belonged to a letter. */
export interface LetterContent {
  readonly id: string;
  readonly tenant: string;
  readonly content: { readonly intake: string };
}

export interface DiscardDeps {
  readonly places: readonly LetterPlace[];
  readonly clock: Clock;
  readonly removeContent: (content: LetterContent) => Promise<void>;
}

export interface Discarded {
  readonly discarded: number;
  /** Letters that somebody else replayed or discarded at the same time. */
  readonly alreadyTaken: number;
  /** Of those discarded: their content is still in S3, for the sweep. */
  readonly contentLeft: number;
}

export interface DiscardOptions {
  /** Ends it between two letters: what is discarded then is told as usual. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((discarded: Discarded) => void) | undefined;
}

const AT_ONCE = 50;

/**
 * KEYS: failed set, job, the five that BullMQ keeps beside it, list, lists, the backlog's jobs and bytes by tenant.
 * A letter that died again since it was looked at is another one. What can raise comes first: until the last two lines it
 * is a letter still, and the sweep sets its list and its count right. Answers nil, or the name of its content in S3.
 */
const DISCARD: Script = {
  name: 'letter_discard',
  keys: 11,
  lua: `${LEAVE}${BACKLOG}
    local id, score, name = ARGV[1], ARGV[2], ARGV[3]
    local found = redis.call('ZSCORE', KEYS[1], id)
    if not found or tonumber(found) ~= tonumber(score) then return false end
    local data = field_of(KEYS[2], 'data') or ''
    leave(KEYS[8], KEYS[9], id, score, name)
    entry_leaves(KEYS[10], KEYS[11], KEYS[2])
    redis.call('ZREM', KEYS[1], id)
    redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7])
    return string.match(data, '"content":{"intake":"(%x+)"}') or ''`,
};

const BESIDE = ['logs', 'dependencies', 'processed', 'failed', 'unsuccessful'];

/** Discards the letters that died up to now. @throws SealdexError `REDIS_FAILED` */
export async function discardLetters(
  deps: DiscardDeps,
  filter: LetterFilter,
  { signal, onProgress }: DiscardOptions = {},
): Promise<Discarded> {
  const counts = { discarded: 0, alreadyTaken: 0, contentLeft: 0 };
  const before = Math.min(filter.before ?? Infinity, deps.clock.now() + 1);
  try {
    for await (const letters of walkLetters(deps.places, { ...filter, before }, signal)) {
      for (let at = 0; at < letters.length; at += AT_ONCE) {
        signal?.throwIfAborted();
        const ends = await Promise.all(letters.slice(at, at + AT_ONCE).map((letter) => discardOne(deps, letter)));
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

async function discardOne(deps: DiscardDeps, letter: Letter): Promise<'gone' | 'taken' | 'content left'> {
  const { jobId, tenant, since } = letter;
  const place = placeOf(deps.places, letter);
  const job = jobKey(place, jobId);
  const { letterLists, backlogJobs, backlogBytes } = place.keys;
  const keys = [
    failedKey(place),
    job,
    ...BESIDE.map((suffix) => `${job}:${suffix}`),
    listKey(place, letter),
    letterLists,
  ];
  const args = [jobId, since, listName(letter)];
  const intake = await run(place.redis, DISCARD, [...keys, backlogJobs, backlogBytes, ...args]);
  if (typeof intake !== 'string') return 'taken';
  // Only a job of ours, under its own id and tenant, has content that is its own.
  if (!INTAKE_ID.test(intake) || tenant === undefined || !isJobId(jobId)) return 'gone';
  try {
    await deps.removeContent({ id: jobId, tenant, content: { intake } });
    return 'gone';
  } catch {
    return 'content left';
  }
}
