// The index of dead letters: a list for each tenant and code, by time of death, and the set of all lists.
// It is a help for looking and no truth: an entry may be stale, and one that is missing is added by the sweep.
import { isCode, type Code } from '../../runtime/errors.ts';
import { NAME } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand } from '../../runtime/redis.ts';
import type { DeadLetter, LetterPlace } from './letter.ts';

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

const isIn = ({ tenant, code }: DeadLetter, list: LetterList): boolean => tenant === list.tenant && code === list.code;

/** Whether the entry of a list says what is so; a stale one names a letter of another list, or none. */
export const isTrue = (list: LetterList | undefined, letter: DeadLetter | undefined): letter is DeadLetter =>
  letter !== undefined && (list === undefined || isIn(letter, list));

/** The tenant that job data names, which may have any shape. */
export function tenantIn(data: unknown): { tenant?: string } {
  const tenant = typeof data === 'object' && data !== null ? (data as { tenant?: unknown }).tenant : undefined;
  return typeof tenant === 'string' && NAME.test(tenant) ? { tenant } : {};
}

/** With an empty `token` there is no lock to be asked for. `entries`: times and ids in turn. */
const ENTER = script({
  name: 'letter_enter',
  keys: ['list', 'lists', 'lock'],
  args: ['name', 'token', '...entries'],
  lua: `
    if token ~= '' and redis.call('GET', lock) ~= token then return 0 end
    redis.call('ZADD', list, 'GT', unpack(entries))
    redis.call('SADD', lists, name)
    return 1`,
});

/**
 * Enters letters into a list; with a lock, only while that is ours. `since` is wall clock, milliseconds: who enters what it
 * saw some time ago does not set a newer one back.
 */
export async function indexLetters(
  place: LetterPlace,
  list: LetterList,
  letters: readonly Pick<DeadLetter, 'jobId' | 'since'>[],
  lock?: { readonly key: string; readonly token: string },
): Promise<void> {
  await runScript(place.redis, ENTER, {
    list: listKey(place, list),
    lists: place.keys.letterLists,
    lock: lock?.key ?? place.keys.letterLists,
    name: listName(list),
    token: lock?.token ?? '',
    entries: letters.flatMap(({ jobId, since }) => [since, jobId]),
  });
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

const LEAVE_ONE = script({
  name: 'letter_leave',
  keys: ['list', 'lists'],
  args: ['jobId', 'since', 'name'],
  lua: `${LEAVE}\n return leave(list, lists, jobId, since, name)`,
});

/** Answers whether there was an entry from `since` or before. */
export const leaveLetter = async (
  place: LetterPlace,
  list: LetterList,
  { jobId, since }: Pick<DeadLetter, 'jobId' | 'since'>,
): Promise<boolean> =>
  (await runScript(place.redis, LEAVE_ONE, {
    list: listKey(place, list),
    lists: place.keys.letterLists,
    jobId,
    since,
    name: listName(list),
  })) === 1;

const SCANNED = 500;

/** All lists that there are, some at a time; one may come twice. */
export async function* letterLists({ redis, keys }: LetterPlace): AsyncGenerator<LetterList[]> {
  let cursor = '0';
  do {
    const [next, names] = await runCommand(redis.sscan(keys.letterLists, cursor, 'COUNT', SCANNED));
    yield names.flatMap(listOf);
    cursor = next;
  } while (cursor !== '0');
}

/** A list with a code of another version is left alone. */
function listOf(name: string): LetterList[] {
  const [tenant = '', code = ''] = name.split(':');
  return isCode(code) ? [{ code, ...(tenant === NOBODY ? {} : { tenant }) }] : [];
}
