// Searches for a word in all data of Redis and S3: names, all types of values, metadata and bodies, as plain text and in the
// usual encodings.
import type { Redis } from 'ioredis';
import type { Store } from '../../src/store/store.ts';

/**
 * Locations of the words, as `redis <key>` or `s3 <key>`, and the number of searched objects, so that an empty search does
 * not pass.
 */
export interface Leaks {
  readonly found: string[];
  readonly redisKeys: number;
  readonly objects: number;
  readonly types: string[];
}

export async function findLeaks(redis: Redis, store: Store, words: readonly string[]): Promise<Leaks> {
  const needles = words.flatMap(needlesOf);
  const found: string[] = [];
  const types = new Set<string>();
  const scan = (where: string, bytes: Buffer): void => {
    if (holds(bytes, needles)) found.push(where);
  };
  const keys = await redis.keysBuffer('*');
  for (const key of keys) {
    const where = `redis ${key.toString()}`;
    scan(where, key);
    const { type, value } = await asItIs(redis, key);
    types.add(type);
    for (const bytes of flat(value)) scan(where, bytes);
  }
  let objects = 0;
  for (let after: string | undefined; ;) {
    const page = await store.list('', after === undefined ? {} : { after });
    for (const { key } of page.objects) {
      objects += 1;
      const stored = await store.get(key);
      scan(`s3 ${key}`, Buffer.from(`${key} ${JSON.stringify(stored?.metadata)}`));
      const chunks: Uint8Array[] = [];
      for await (const chunk of stored?.body ?? []) chunks.push(chunk);
      scan(`s3 ${key}`, Buffer.concat(chunks));
    }
    if (page.next === undefined) break;
    after = page.next;
  }
  return { found: [...new Set(found)], redisKeys: keys.length, objects, types: [...types].sort() };
}

/** Whether the bytes of a file contain one of the words, in plain text or in one of the encodings. */
export const holdsWord = (bytes: Buffer, words: readonly string[]): boolean => holds(bytes, words.flatMap(needlesOf));

/** Other tests use the same Redis: a key may have another type when it is read. */
async function asItIs(redis: Redis, key: Buffer, tries = 5): Promise<{ type: string; value: unknown }> {
  const type = await redis.type(key);
  try {
    return { type, value: await valueOf(redis, key, type) };
  } catch (error) {
    const isOther = (error as Error).message.startsWith('WRONGTYPE');
    if (isOther && tries > 1) return asItIs(redis, key, tries - 1);
    throw error;
  }
}

async function valueOf(redis: Redis, key: Buffer, type: string): Promise<unknown> {
  if (type === 'string') return redis.getBuffer(key);
  if (type === 'hash') return redis.callBuffer('HGETALL', key);
  if (type === 'list') return redis.lrangeBuffer(key, 0, -1);
  if (type === 'set') return redis.smembersBuffer(key);
  if (type === 'zset') return redis.zrangeBuffer(key, '0', '-1');
  if (type === 'stream') return redis.callBuffer('XRANGE', key, '-', '+');
  // Deleted since it was listed: other tests use the same Redis.
  if (type === 'none') return undefined;
  throw new Error(`a type that nobody looks into: ${type}`);
}

function flat(value: unknown): Buffer[] {
  if (Buffer.isBuffer(value)) return [value];
  if (Array.isArray(value)) return value.flatMap(flat);
  return typeof value === 'object' && value !== null ? Object.entries(value).flatMap(flat) : [];
}

/** A word as bytes: UTF-8, UTF-16, hex, and the part of its base64 independent of the text before it. */
function needlesOf(word: string): Buffer[] {
  const utf8 = Buffer.from(word);
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), utf8])
      .toString('base64')
      .replace(/=+$/, '');
    return Buffer.from(text.slice(shift === 0 ? 0 : 4, -1));
  });
  return [utf8, Buffer.from(word, 'utf16le'), Buffer.from(utf8.toString('hex')), ...base64];
}

/**
 * In the bytes, or in the decoded form of base64 in them; long runs are decoded in pieces, since other tests leave
 * megabytes.
 */
function holds(bytes: Buffer, needles: readonly Buffer[]): boolean {
  if (needles.some((needle) => bytes.includes(needle))) return true;
  const runs = bytes.toString('latin1').match(/[A-Za-z0-9+/_-]{16,65536}/g) ?? [];
  return runs.some((run) => {
    const decoded = Buffer.from(run, 'base64');
    return needles.some((needle) => decoded.includes(needle));
  });
}
