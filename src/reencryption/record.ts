// Re-encryption record: the progress of a tenant's re-encryption in Redis, one text that is replaced by compare-and-set.
// Each page of a pass is therefore finished once, and only one of two concurrent starts of a pass succeeds.
import { z } from 'zod';
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, type Redis } from '../runtime/redis.ts';

const count = z.int().nonnegative();

const shape = z.object({
  v: z.literal(1),
  /** Id of the key change that the pass belongs to. */
  change: z.string(),
  /** Random, so that page ids of two passes never collide. */
  pass: z.string(),
  /** Wall clock, milliseconds: when the first page may be listed. */
  begun: z.number(),
  /** Objects so far, by result. */
  counts: z.object({
    /** Already under the current key. */
    current: count,
    moved: count,
    /** Written or deleted concurrently. */
    changed: count,
    /** Cannot be decrypted; they stay under their key. */
    unreadable: count,
  }),
  /** The current page: the id of its job, and the object key after which it begins. Absent after the last page. */
  page: z.object({ id: z.string(), after: z.string().optional() }).optional(),
});

export type PassRecord = z.infer<typeof shape>;
/**
 * Objects that a re-encryption has visited. `current`: already under the current key. `moved`: re-encrypted. `changed`: written or
 * deleted concurrently. `unreadable`: stay under their key, because they cannot be decrypted.
 */
export type PassCounts = PassRecord['counts'];
export type Page = NonNullable<PassRecord['page']>;

/** The text in Redis and the parsed record; undefined for a text that sealdex did not write. */
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

/** Idempotent: a retry after a lost response returns the same. */
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

/** Returns whether the record was unchanged since `found` was read, and is replaced. */
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
