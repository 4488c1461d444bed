// The search for plaintext: it finds a phrase in every part of Redis and S3, and nothing in ciphertext.
import { createCipheriv, randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startRedis, startS3, type RedisServer, type S3Server } from '@sealdex/local-aws';
import { openBucket, type Bucket } from '../../src/demo/bucket.ts';
import { phrases } from '../../src/demo/phrases.ts';
import { searchPlaintext, type SearchResult } from '../../src/demo/search.ts';

const { signal } = new AbortController();
const PHRASE = 'long peregrination';
const TEXT = `a ${PHRASE} through`;
const HIDDEN = Buffer.from(`{"text":"${TEXT}"}`).toString('base64');
const MARK = 'abcdefghijklmnop';

let server: RedisServer;
let s3: S3Server;
let redis: Redis;
let bucket: Bucket;

beforeAll(async () => {
  [server, s3] = await Promise.all([startRedis(), startS3()]);
  redis = new Redis(server.url);
  s3.createBucket('searched');
  // Pages of two keys, so that every list has several.
  bucket = openBucket(s3.endpoint, 'searched', 2);
});

afterAll(async () => {
  redis.disconnect();
  await Promise.all([server.stop(), s3.stop()]);
});

beforeEach(async () => {
  await redis.flushdb();
  for (const key of await bucket.keys()) await bucket.remove(key);
});

const phrasesIn = (text: string): string[] => {
  const found = new Set<string>();
  phrases(Buffer.from(text), (phrase) => found.add(phrase));
  return [...found];
};

const search = (wanted: Iterable<string> = [PHRASE]): Promise<SearchResult> =>
  searchPlaintext(redis, bucket, new Set(wanted), signal);

describe('phrases', () => {
  test.each(['', '\u0000', 'é', '"', 'x/', 'AB', 'ABC', 'sealdex:'])(
    'are found in base64 after "%s", in both alphabets',
    (before) => {
      for (const alphabet of ['base64', 'base64url'] as const) {
        const text = Buffer.from(`\u00ff\u00fe>?${TEXT} ${MARK}`).toString(alphabet);
        expect(phrasesIn(`${before}${text}`)).toEqual(expect.arrayContaining([PHRASE, MARK]));
      }
    },
  );

  test('are pairs of words of 4 characters or more, and words of 16 characters, in lower case', () => {
    const text = `The Quick brown fox jumps over "lazy dogs", ${MARK} ${MARK}q`;
    expect(phrasesIn(text)).toEqual(['quick brown', 'jumps over', 'lazy dogs', MARK, `${MARK} ${MARK}q`]);
  });
});

const many = (last: string): string[] => [...Array.from({ length: 1500 }, (_, index) => `entry ${index}`), last];

const PLACES: Readonly<Record<string, (text: string) => Promise<unknown>>> = {
  'the name of a key': (text) => redis.set(text, '1'),
  'a string': (text) => redis.set('k', text),
  'the name of a hash field': (text) => redis.hset('k', text, '1'),
  'the value of a hash field': (text) => redis.hset('k', 'f', text),
  'one of many hash fields': (text) => redis.hset('k', Object.fromEntries(many(text).map((each) => [each, each]))),
  'a list': (text) => redis.rpush('k', ...many(text)),
  'a set': (text) => redis.sadd('k', ...many(text)),
  'a sorted set': (text) => redis.zadd('k', ...many(text).flatMap((each, index) => [index, each])),
  'the name of a stream field': (text) => redis.xadd('k', '*', text, '1'),
  'a stream': async (text) => {
    const add = redis.pipeline();
    for (const each of many(text)) add.xadd('k', '*', 'f', each);
    await add.exec();
  },
  'one of many keys': (text) => redis.mset(many(text).flatMap((each, index) => [`k${index}`, each])),
};

const FORMS: [string, string][] = [
  ['as it is', TEXT],
  ['in base64', HIDDEN],
];

describe.each(Object.entries(PLACES))('a phrase in %s', (_, plant) => {
  test.each(FORMS)('is found %s, and not after its removal', async (_how, text) => {
    await plant(text);
    expect(await search()).toMatchObject({ foundInRedis: 1, foundInS3: 0 });
    await redis.flushdb();
    expect(await search()).toMatchObject({ foundInRedis: 0, foundInS3: 0 });
  });
});

const OBJECTS: Readonly<Record<string, (text: string) => Promise<void>>> = {
  'the key of an object': (text) => bucket.put(`documents/${text}`, randomBytes(10)),
  'the body of an object': (text) =>
    bucket.put('o', Buffer.concat([randomBytes(100_000), Buffer.from(`\n${text}\n`), randomBytes(10)])),
  'the metadata of an object': (text) => bucket.put('o', randomBytes(10), { 'x-amz-meta-note': text }),
};

describe.each(Object.entries(OBJECTS))('a phrase in %s', (_, plant) => {
  test.each(FORMS)('is found %s, on any page of the bucket', async (_how, text) => {
    for (const name of ['a', 'b', 'c', 'x', 'y']) await bucket.put(name, randomBytes(10));
    await plant(text);
    expect(await search()).toMatchObject({ foundInRedis: 0, foundInS3: 1, objects: 6 });
  });
});

test('the search finds nothing in ciphertext, raw or in base64', async () => {
  const wanted = ['peregrination characters', 'information encryption'];
  const plaintext = Buffer.from(`${wanted.join('\n')}\n`.repeat(20_000));
  const cipher = createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(12));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  await bucket.put('o', ciphertext);
  await redis.hset('k', 'data', JSON.stringify({ inline: ciphertext.subarray(0, 500_000).toString('base64') }));
  expect(await search(wanted)).toEqual({ redisKeys: 1, objects: 1, foundInRedis: 0, foundInS3: 0 });
  await bucket.put('p', plaintext);
  expect(await search(wanted)).toMatchObject({ foundInS3: wanted.length });
});

test('the controls are removed and are not counted', async () => {
  expect(await search()).toEqual({ redisKeys: 0, objects: 0, foundInRedis: 0, foundInS3: 0 });
  expect(await redis.dbsize()).toBe(0);
  expect(await bucket.keys()).toEqual([]);
});

test('a search that misses a control is an error, and removes the controls', async () => {
  const blind: Bucket = { ...bucket, get: async () => undefined };
  await expect(searchPlaintext(redis, blind, new Set(), signal)).rejects.toThrow('missed a control');
  expect(await redis.dbsize()).toBe(0);
  expect(await bucket.keys()).toEqual([]);
});

test('an abort ends a search', async () => {
  const aborted = AbortSignal.abort(new Error('enough'));
  await expect(searchPlaintext(redis, bucket, new Set(), aborted)).rejects.toThrow('enough');
});
