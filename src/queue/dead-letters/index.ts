// The index of dead letters: a list for each tenant and code, by time of death, and the set of all lists.
// It is a help for looking and no truth: an entry may be stale, and one that is missing is added by the sweep.
import { isCode, type Code } from '../../runtime/errors.ts';
import { NAME } from '../../runtime/names.ts';
import { ask, run, type Script } from '../../runtime/redis.ts';
import type { Letter, LetterPlace } from './letter.ts';

/** Stands for the tenant of jobs that name none; no tenant has this name. */
const NOBODY = '?';

export interface LetterList {
  /** Missing: the letters whose jobs name no tenant. */
  readonly tenant?: string;
  readonly code: Code;
}

export const listKey = ({ keys }: LetterPlace, { tenant = NOBODY, code }: LetterList): string =>
  keys.letters(tenant, code);
export const listName = ({ tenant = NOBODY, code }: LetterList): string => `${tenant}:${code}`;

const isIn = ({ tenant, code }: Letter, list: LetterList): boolean => tenant === list.tenant && code === list.code;

/** Whether the entry of a list says what is so; a stale one names a letter of another list, or none. */
export const isTrue = (list: LetterList | undefined, letter: Letter | undefined): letter is Letter =>
  letter !== undefined && (list === undefined || isIn(letter, list));

/** The tenant that job data names, which may have any shape. */
export function tenantIn(data: unknown): { tenant?: string } {
  const tenant = typeof data === 'object' && data !== null ? (data as { tenant?: unknown }).tenant : undefined;
  return typeof tenant === 'string' && NAME.test(tenant) ? { tenant } : {};
}

const ENTER: Script = {
  name: 'letter_enter',
  keys: 3,
  lua: `
    if ARGV[2] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[2] then return 0 end
    redis.call('ZADD', KEYS[1], 'GT', unpack(ARGV, 3))
    redis.call('SADD', KEYS[2], ARGV[1])
    return 1`,
};

/**
 * Enters letters into a list; with a lock, only while that is ours. `since` is wall clock, milliseconds: who enters what it
 * saw some time ago does not set a newer one back.
 */
export async function enterLetters(
  place: LetterPlace,
  list: LetterList,
  letters: readonly Pick<Letter, 'jobId' | 'since'>[],
  lock?: { readonly key: string; readonly token: string },
): Promise<void> {
  const names = [listKey(place, list), place.keys.letterLists, lock?.key ?? place.keys.letterLists];
  await run(place.redis, ENTER, [
    ...names,
    listName(list),
    lock?.token ?? '',
    ...letters.flatMap(({ jobId, since }) => [since, jobId]),
  ]);
}

/**
 * Lua: takes entry `id` out of `list`, and the list out of `lists` when it was the last. Only as it was seen: with a
 * newer time it is about a newer death.
 */
export const LEAVE = `
  local function leave(list, lists, id, score, name)
    local found = redis.call('ZSCORE', list, id)
    if not found or tonumber(found) > tonumber(score) then return 0 end
    redis.call('ZREM', list, id)
    if redis.call('EXISTS', list) == 0 then redis.call('SREM', lists, name) end
    return 1
  end`;

const LEAVE_ONE: Script = {
  name: 'letter_leave',
  keys: 2,
  lua: `${LEAVE}\n return leave(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])`,
};

/** Answers whether there was an entry from `since` or before. */
export const leaveLetter = async (
  place: LetterPlace,
  list: LetterList,
  { jobId, since }: Pick<Letter, 'jobId' | 'since'>,
): Promise<boolean> =>
  (await run(place.redis, LEAVE_ONE, [listKey(place, list), place.keys.letterLists, jobId, since, listName(list)])) ===
  1;

const SCANNED = 500;

/** All lists that there are, some at a time; one may come twice. */
export async function* letterLists({ redis, keys }: LetterPlace): AsyncGenerator<LetterList[]> {
  let cursor = '0';
  do {
    const [next, names] = await ask(redis.sscan(keys.letterLists, cursor, 'COUNT', SCANNED));
    yield names.flatMap(listOf);
    cursor = next;
  } while (cursor !== '0');
}

/** A list with a code of another version is left alone. */
function listOf(name: string): LetterList[] {
  const [tenant = '', code = ''] = name.split(':');
  return isCode(code) ? [{ code, ...(tenant === NOBODY ? {} : { tenant }) }] : [];
}
