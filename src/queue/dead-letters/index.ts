// Index of dead letters: a list for each tenant and code, ordered by time, and the set of all lists.
// The failed set is authoritative: an index entry may be stale, and the sweep adds missing ones.
import { isCode, type Code } from '../../runtime/errors.ts';
import { NAME } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand } from '../../runtime/redis.ts';
import type { DeadLetter, LetterPlace } from './letter.ts';

/** In place of the tenant for jobs without one; not a valid tenant name. */
const NO_TENANT = '?';

export interface LetterList {
  /** Absent: the dead letters whose jobs name no tenant. */
  readonly tenant?: string;
  readonly code: Code;
}

export const listKey = ({ keys }: LetterPlace, { tenant = NO_TENANT, code }: LetterList): string =>
  keys.letters(tenant, code);
export const listName = ({ tenant = NO_TENANT, code }: LetterList): string => `${tenant}:${code}`;

const isIn = ({ tenant, code }: DeadLetter, list: LetterList): boolean => tenant === list.tenant && code === list.code;

/** Whether an entry of the list is current; a stale entry names a job of another list, or one that is not a dead letter. */
export const isTrue = (list: LetterList | undefined, letter: DeadLetter | undefined): letter is DeadLetter =>
  letter !== undefined && (list === undefined || isIn(letter, list));

/** The tenant in job data of any shape. */
export function tenantIn(data: unknown): { tenant?: string } {
  const tenant = typeof data === 'object' && data !== null ? (data as { tenant?: unknown }).tenant : undefined;
  return typeof tenant === 'string' && NAME.test(tenant) ? { tenant } : {};
}

/** With an empty `token` the lock is not checked. `entries`: alternating times and ids. */
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
 * Adds dead letters to a list; with `lock`, only if its token holds the lock. `since` is wall clock, milliseconds: an older
 * time does not replace a newer one.
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
 * Lua: removes entry `id` from `list`, and an empty list from `lists`. An entry with a newer time than `score` stays: the job
 * became a dead letter again.
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

/** Removes an entry with a time up to `since`. Returns whether there was one. */
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

/** All lists, in pages; a list may be returned twice. */
export async function* letterLists({ redis, keys }: LetterPlace): AsyncGenerator<LetterList[]> {
  let cursor = '0';
  do {
    const [next, names] = await runCommand(redis.sscan(keys.letterLists, cursor, 'COUNT', SCANNED));
    yield names.flatMap(listOf);
    cursor = next;
  } while (cursor !== '0');
}

/** Skips a list with a code of another version. */
function listOf(name: string): LetterList[] {
  const [tenant = '', code = ''] = name.split(':');
  return isCode(code) ? [{ code, ...(tenant === NO_TENANT ? {} : { tenant }) }] : [];
}
