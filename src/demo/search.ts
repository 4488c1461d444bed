// The search for plaintext: reads all of Redis and the bucket, and proves each time that it would find a phrase.
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Bucket } from './bucket.ts';
import { inBatches } from './calls.ts';
import { randomWord } from './documents.ts';
import { phrases } from './phrases.ts';

export interface SearchResult {
  readonly redisKeys: number;
  readonly objects: number;
  /** Different phrases that were found. Counted only: a phrase is content. */
  readonly foundInRedis: number;
  readonly foundInS3: number;
}

const CONCURRENCY = 16;
const SCAN_COUNT = '1000';
const HASH = 'sealdex-demo-control:hash';
const STREAM = 'sealdex-demo-control:stream';
const BODY_KEY = 'control/body';
const METADATA_KEY = 'control/metadata';

/**
 * Searches Redis and the bucket for the phrases.
 * @throws Error if it misses a control that it planted: then its result proves nothing
 */
export async function searchPlaintext(
  redis: Redis,
  bucket: Bucket,
  wanted: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<SearchResult> {
  const [inHash, inStream, inBody, inMetadata] = [randomWord(), randomWord(), randomWord(), randomWord()];
  const all = new Set([...wanted, inHash, inStream, inBody, inMetadata]);
  const inRedis = new Set<string>();
  const inS3 = new Set<string>();
  const visit = (bytes: Buffer, found: Set<string>): void =>
    phrases(bytes, (phrase) => void (all.has(phrase) && found.add(phrase)));
  try {
    await redis.hset(HASH, 'data', JSON.stringify({ text: inHash }));
    await redis.xadd(STREAM, '*', 'data', Buffer.from(JSON.stringify({ text: inStream })).toString('base64'));
    await bucket.put(BODY_KEY, Buffer.concat([randomBytes(8), Buffer.from(` ${inBody} `), randomBytes(8)]));
    await bucket.put(METADATA_KEY, randomBytes(8), { 'x-amz-meta-note': inMetadata });
    const redisKeys = await visitRedis(redis, (bytes) => visit(bytes, inRedis), signal);
    const objects = await visitBucket(bucket, (bytes) => visit(bytes, inS3), signal);
    const hits = [inRedis.delete(inHash), inRedis.delete(inStream), inS3.delete(inBody), inS3.delete(inMetadata)];
    if (hits.includes(false)) throw new Error('The search for plaintext missed a control that was planted for it.');
    return { redisKeys: redisKeys - 2, objects: objects - 2, foundInRedis: inRedis.size, foundInS3: inS3.size };
  } finally {
    await Promise.allSettled([redis.del(HASH, STREAM), bucket.remove(BODY_KEY), bucket.remove(METADATA_KEY)]);
  }
}

/** Visits every key and value, whatever its type: a dump without compression contains all strings as they are. */
async function visitRedis(redis: Redis, visit: (bytes: Buffer) => void, signal: AbortSignal): Promise<number> {
  await redis.config('SET', 'rdbcompression', 'no');
  // SCAN may return a key twice.
  const keys = new Map<string, Buffer>();
  let cursor = '0';
  do {
    const [next, page] = await redis.scanBuffer(cursor, 'COUNT', SCAN_COUNT);
    for (const key of page) keys.set(key.toString('hex'), key);
    cursor = next.toString();
  } while (cursor !== '0');
  await inBatches([...keys.values()], CONCURRENCY, signal, async (key) => {
    visit(key);
    visit((await redis.dumpBuffer(key)) ?? Buffer.alloc(0));
  });
  return keys.size;
}

/** Visits every object: its key, its headers with the metadata, its body. */
async function visitBucket(bucket: Bucket, visit: (bytes: Buffer) => void, signal: AbortSignal): Promise<number> {
  const keys = await bucket.keys();
  await inBatches(keys, CONCURRENCY, signal, async (key) => {
    const { headers = {}, body = Buffer.alloc(0) } = (await bucket.get(key)) ?? {};
    visit(Buffer.from(`${key}\n${JSON.stringify(headers)}`));
    visit(body);
  });
  return keys.length;
}
