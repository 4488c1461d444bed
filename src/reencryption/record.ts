// How far the move of a tenant's objects has come, as it stands in Redis: one text, which is replaced as a whole by whoever
// knows what it says. So each page of a pass has its turn once, and of two who begin a pass one does.
// What a pass moves, and when the last one may begin, it does not know.
import { z } from 'zod';
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, type Redis } from '../runtime/redis.ts';

const count = z.int().nonnegative();

const shape = z.object({
  v: z.literal(1),
  /** Of the key change that the pass moves the objects after. */
  change: z.string(),
  /** Random: no page of another pass has the id of one of this pass. */
  pass: z.string(),
  /** Wall clock, milliseconds: when the first page may be listed. */
  begun: z.number(),
  /** Objects so far, by what became of them. */
  counts: z.object({
    /** Under the current key already. */
    current: count,
    moved: count,
    /** Written or deleted by somebody else meanwhile. */
    changed: count,
    /** Not to be read: they stay under the key that they are under. */
    unreadable: count,
  }),
  /** The page whose turn it is, as its job is named, and where it begins; none after the last. */
  page: z.object({ id: z.string(), after: z.string().optional() }).optional(),
});

export type PassRecord = z.infer<typeof shape>;
/**
 * Objects that a re-encryption has visited. `current`: already under the current key. `moved`: re-encrypted. `changed`: written or
 * deleted concurrently. `unreadable`: stay under their key, because they cannot be decrypted.
 */
export type PassCounts = PassRecord['counts'];
export type Page = NonNullable<PassRecord['page']>;

/** What stands in Redis, and the same read; undefined for what nobody of us has written. */
export interface LoadedRecord {
  readonly text: string | undefined;
  readonly record: PassRecord | undefined;
}

export const ZERO_COUNTS: PassCounts = Object.freeze({ current: 0, moved: 0, changed: 0, unreadable: 0 });

export const sumOf = (one: PassCounts, other: PassCounts): PassCounts => ({
  current: one.current + other.current,
  moved: one.moved + other.moved,
  changed: one.changed + other.changed,
  unreadable: one.unreadable + other.unreadable,
});

export async function readRecord(redis: Redis, key: string): Promise<LoadedRecord> {
  const text = (await runCommand(redis.get(key))) ?? undefined;
  return { text, record: parse(text) };
}

/** Told again because its answer was lost, it tells the same. */
const REPLACE = script({
  name: 'reencryption_replace',
  keys: ['record'],
  args: ['seen', 'fresh'],
  lua: `
    local text = redis.call('GET', record) or ''
    if text == fresh then return 1 end
    if text ~= seen then return 0 end
    redis.call('SET', record, fresh)
    return 1`,
});

/** Answers whether the record was still what had been found. */
export async function replaceRecord(
  redis: Redis,
  key: string,
  found: LoadedRecord,
  record: PassRecord,
): Promise<boolean> {
  const input = { record: key, seen: found.text ?? '', fresh: JSON.stringify(record) };
  return (await runScript(redis, REPLACE, input)) === 1;
}

function parse(text: string | undefined): PassRecord | undefined {
  try {
    return shape.parse(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
}
