// Looks for the corpus' words in everything at rest, and proves each time that it would have found them.
// Words that are found are counted, never told.
import { randomBytes } from 'node:crypto';
import type { Redis } from '../runtime/redis.ts';
import type { Bucket } from './bucket.ts';
import { visitBucket, visitRedis } from './rest.ts';
import { words } from './words.ts';

/** Where things rest. */
export interface Rest {
  readonly redis: Redis;
  readonly bucket: Bucket;
}

export interface SearchResult {
  readonly redisKeys: number;
  readonly objects: number;
  /** Of all objects' bodies. */
  readonly bytes: number;
  /** Different words of the corpus that were found. */
  readonly wordsInRedis: number;
  readonly wordsInS3: number;
  /** Words that were planted for the search to find; it found all, or threw. */
  readonly controls: number;
}

const HASH = 'sealdex-demo-control:hash';
const STREAM = 'sealdex-demo-control:stream';
const BODY_KEY = 'control/body';
const METADATA_KEY = 'control/metadata';

/**
 * Searches all of Redis and the bucket.
 * @throws Error when it misses a control that it planted: then its other answers are worth nothing
 */
export async function searchRest(rest: Rest, corpus: ReadonlySet<string>, signal: AbortSignal): Promise<SearchResult> {
  const inHash = randomWord();
  const inStream = randomWord();
  const inBody = randomWord();
  const inMetadata = randomWord();
  const wanted = new Set([...corpus, inHash, inStream, inBody, inMetadata]);
  const redisFound = new Set<string>();
  const s3Found = new Set<string>();
  const into =
    (found: Set<string>) =>
    (bytes: Buffer): void =>
      words(bytes, (word) => void (wanted.has(word) && found.add(word)));
  const { redis, bucket } = rest;
  try {
    const hidden = Buffer.from(`a message with ${inStream} in it`).toString('base64');
    await redis.hset(HASH, 'data', JSON.stringify({ text: `It says ${inHash}.` }));
    await redis.xadd(STREAM, '*', 'data', JSON.stringify({ inline: hidden }));
    const body = Buffer.concat([randomBytes(8), Buffer.from(` ${inBody} `), randomBytes(8)]);
    await bucket.put(BODY_KEY, body, {}, signal);
    await bucket.put(METADATA_KEY, body.subarray(0, 8), { note: inMetadata }, signal);
    const redisKeys = await visitRedis(redis, into(redisFound), signal);
    const stored = await visitBucket(bucket, into(s3Found), signal);
    const controls = [takeOut(redisFound, [inHash, inStream]), takeOut(s3Found, [inBody, inMetadata])];
    if (controls.includes(false)) throw new Error('The search for plaintext missed a word that was planted for it.');
    return {
      redisKeys: redisKeys - 2,
      objects: stored.objects - 2,
      bytes: stored.bytes - body.length - 8,
      wordsInRedis: redisFound.size,
      wordsInS3: s3Found.size,
      controls: 4,
    };
  } finally {
    await Promise.allSettled([redis.del(HASH, STREAM), bucket.remove(BODY_KEY), bucket.remove(METADATA_KEY)]);
  }
}

/** All words that Redis and the bucket hold. */
export async function wordsAtRest({ redis, bucket }: Rest, signal: AbortSignal): Promise<Set<string>> {
  const found = new Set<string>();
  const visit = (bytes: Buffer): void => words(bytes, (word) => found.add(word));
  await visitRedis(redis, visit, signal);
  await visitBucket(bucket, visit, signal);
  return found;
}

/** Whether all were there; they are not any more. */
const takeOut = (found: Set<string>, controls: readonly string[]): boolean =>
  controls.map((control) => found.delete(control)).every((wasThere) => wasThere);

/** 16 letters that nobody wrote. */
export const randomWord = (): string => String.fromCharCode(...randomBytes(16).map((byte) => 97 + (byte % 26)));
