// Search for dead letters: lists them from the newest, walks them from the oldest, counts them.
// Reads the index if a tenant or a code is given, else the failed set. Index entries are checked against the failed set.
import { CODES, type Code } from '../../runtime/errors.ts';
import { runCommand } from '../../runtime/redis.ts';
import { isTrue, letterLists, listKey, listName, type LetterList } from './index.ts';
import { failedKey, readLetters, type DeadLetter, type LetterPlace } from './letter.ts';
import { pageOf, pagesOf, startOf, type TimeRange, type ListPosition } from './pages.ts';

/** Selects dead letters; without a field, all of them. */
export interface LetterFilter {
  /** Only dead letters of this tenant. */
  readonly tenant?: string | undefined;
  /** Only dead letters with this code. */
  readonly code?: Code | undefined;
  /** Only jobs that became dead letters at this time or later: Unix time in milliseconds. */
  readonly since?: number | undefined;
  /** Only jobs that became dead letters before this time: Unix time in milliseconds. */
  readonly before?: number | undefined;
  /** Only these jobs, if they are dead letters that the other fields match. */
  readonly jobIds?: readonly string[] | undefined;
  /** Maximum number of dead letters. */
  readonly limit?: number | undefined;
}

export interface LetterPage {
  readonly letters: readonly DeadLetter[];
  /** Position for the next page, if there may be one. */
  readonly next?: ListPosition;
}

export interface LetterCount extends LetterList {
  readonly letters: number;
}

/** A sorted set to search: a list of a queue's index, or without `list` the failed set. */
interface Source {
  readonly place: LetterPlace;
  readonly key: string;
  readonly list?: LetterList;
}

const PAGE = 200;
/** Smaller pages for more than MANY lists. */
const HEAD = 10;
const MANY = 50;

const listsOf = (tenant: string, code: Code | undefined): LetterList[] =>
  (code === undefined ? (Object.keys(CODES) as Code[]) : [code]).map((each) => ({ tenant, code: each }));

async function sourcesOf(places: readonly LetterPlace[], { tenant, code }: LetterFilter): Promise<Source[]> {
  const sources: Source[] = [];
  for (const place of places) {
    if (tenant === undefined && code === undefined) {
      sources.push({ place, key: failedKey(place) });
      continue;
    }
    const lists = tenant === undefined ? await listsWith(place, code) : listsOf(tenant, code);
    sources.push(...lists.map((list) => ({ place, key: listKey(place, list), list })));
  }
  return sources;
}

async function listsWith(place: LetterPlace, code: Code | undefined): Promise<LetterList[]> {
  const found = new Map<string, LetterList>();
  for await (const lists of letterLists(place))
    for (const list of lists) if (code === undefined || list.code === code) found.set(listName(list), list);
  return [...found.values()];
}

/** Returns a page, newest first, after the position `after`. */
export async function listLetters(
  places: readonly LetterPlace[],
  filter: Omit<LetterFilter, 'jobIds' | 'limit'>,
  limit: number,
  after?: ListPosition,
): Promise<LetterPage> {
  const merge = await createMerge(await sourcesOf(places, filter), { ...filter, after });
  const letters: DeadLetter[] = [];
  let last: ListPosition | undefined;
  while (letters.length < limit) {
    const found = await merge.take(Math.min(PAGE, limit - letters.length));
    if (found.length === 0) break;
    last = found.at(-1)?.spot;
    letters.push(...(await trueOf(found)));
  }
  return { letters, ...(last !== undefined && merge.hasMore() ? { next: last } : {}) };
}

interface LetterMatch {
  readonly place: LetterPlace;
  readonly spot: ListPosition;
  readonly list?: LetterList | undefined;
}

/** Reads the dead letters in the given order, and drops stale entries. */
async function trueOf(found: readonly LetterMatch[]): Promise<DeadLetter[]> {
  const letters = new Map<LetterMatch, DeadLetter | undefined>();
  for (const [place, own] of Map.groupBy(found, (each) => each.place)) {
    const read = await readLetters(
      place,
      own.map(({ spot }) => spot.jobId),
    );
    for (const [at, each] of own.entries()) letters.set(each, read[at]);
  }
  return found.flatMap((each) => {
    const letter = letters.get(each);
    return isTrue(each.list, letter) ? [letter] : [];
  });
}

/** Entries of the same time are ordered by bytes, as in Redis. */
const isNewer = (one: ListPosition, other: ListPosition): boolean =>
  one.since === other.since
    ? Buffer.compare(Buffer.from(one.jobId), Buffer.from(other.jobId)) > 0
    : one.since > other.since;

/** Merges several sorted sets, newest first; holds at most one page of each. */
async function createMerge(sources: readonly Source[], range: TimeRange) {
  const size = sources.length > MANY ? HEAD : PAGE;
  const start = startOf('newest', range);
  const heads = sources.map((source) => ({ ...source, from: start, spots: [] as ListPosition[], isRead: false }));
  type Head = (typeof heads)[number];

  const fill = async (head: Head): Promise<void> => {
    const page = await pageOf(head.place.redis, head.key, 'newest', range, head.from, size);
    head.spots = page.toReversed();
    head.from = page.at(-1) ?? head.from;
    head.isRead = page.length < size;
  };
  for (let at = 0; at < heads.length; at += PAGE) await Promise.all(heads.slice(at, at + PAGE).map(fill));

  const newest = (): Head | undefined => {
    let best: Head | undefined;
    for (const head of heads)
      if (head.spots.length > 0 && (!best || isNewer(head.spots.at(-1)!, best.spots.at(-1)!))) best = head;
    return best;
  };
  return {
    async take(count: number): Promise<LetterMatch[]> {
      const found: LetterMatch[] = [];
      for (let head = newest(); head && found.length < count; head = newest()) {
        found.push({ place: head.place, spot: head.spots.pop()!, list: head.list });
        if (head.spots.length === 0 && !head.isRead) await fill(head);
      }
      return found;
    },
    hasMore: (): boolean => newest() !== undefined,
  };
}

/** All matching dead letters, in pages: one list after the other, each from the oldest on. */
export async function* walkLetters(
  places: readonly LetterPlace[],
  filter: LetterFilter,
  signal?: AbortSignal,
): AsyncGenerator<DeadLetter[]> {
  let left = filter.limit ?? Infinity;
  const pages = filter.jobIds ? namedLetters(places, filter, filter.jobIds) : allLetters(places, filter, signal);
  for await (const letters of pages) {
    signal?.throwIfAborted();
    const page = letters.slice(0, left);
    left -= page.length;
    if (page.length > 0) yield page;
    if (left <= 0) return;
  }
}

async function* allLetters(
  places: readonly LetterPlace[],
  filter: LetterFilter,
  signal?: AbortSignal,
): AsyncGenerator<DeadLetter[]> {
  for (const { place, key, list } of await sourcesOf(places, filter))
    for await (const spots of pagesOf(place.redis, key, 'oldest', filter, PAGE, signal)) {
      const found = spots.map((spot) => ({ place, spot, list }));
      // The index entry is written shortly before the job is moved, so its time may be slightly earlier.
      yield (await trueOf(found)).filter(({ since }) => since < (filter.before ?? Infinity));
    }
}

async function* namedLetters(
  places: readonly LetterPlace[],
  { tenant, code, since = -Infinity, before = Infinity }: LetterFilter,
  jobIds: readonly string[],
): AsyncGenerator<DeadLetter[]> {
  const ids = [...new Set(jobIds)];
  for (let at = 0; at < ids.length; at += PAGE) {
    const batch = ids.slice(at, at + PAGE);
    const read = await Promise.all(places.map((place) => readLetters(place, batch)));
    yield read
      .flat()
      .filter(
        (letter): letter is DeadLetter =>
          letter !== undefined &&
          (tenant === undefined || letter.tenant === tenant) &&
          (code === undefined || letter.code === code) &&
          letter.since >= since &&
          letter.since < before,
      );
  }
}

/** Counts the matching dead letters by code; reads each. */
export async function tallyLetters(
  places: readonly LetterPlace[],
  filter: LetterFilter,
  signal?: AbortSignal,
): Promise<ReadonlyMap<Code, number>> {
  const counts = new Map<Code, number>();
  for await (const letters of walkLetters(places, filter, signal))
    for (const { code } of letters) counts.set(code, (counts.get(code) ?? 0) + 1);
  return counts;
}

/** Counts by the lengths of the index lists: fast, but includes stale entries and lacks missing ones until the next sweep. */
export async function countLetters(places: readonly LetterPlace[]): Promise<LetterCount[]> {
  const sums = new Map<string, LetterCount>();
  for (const place of places)
    for (const { letters, ...list } of await countIn(place))
      sums.set(listName(list), { ...list, letters: letters + (sums.get(listName(list))?.letters ?? 0) });
  return [...sums.values()];
}

async function countIn(place: LetterPlace): Promise<LetterCount[]> {
  const counts = new Map<string, LetterCount>();
  for await (const lists of letterLists(place)) {
    const lengths = await Promise.all(lists.map((list) => runCommand(place.redis.zcard(listKey(place, list)))));
    for (const [at, list] of lists.entries())
      if (lengths[at]) counts.set(listName(list), { ...list, letters: lengths[at] });
  }
  return [...counts.values()];
}
