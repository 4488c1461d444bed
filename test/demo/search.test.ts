// The search for plaintext: it finds a word wherever Redis and S3 can hold one, and nothing in ciphertext.
import { createCipheriv, randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Bucket, openBucket } from '../../src/demo/bucket.ts';
import { visitRedis } from '../../src/demo/rest.ts';
import { searchRest, wordsAtRest } from '../../src/demo/search.ts';
import { words } from '../../src/demo/words.ts';
import { type RedisServer, startRedis, type S3Server, startS3 } from '@sealdex/local-aws';

const { signal } = new AbortController();
const WORD = 'peregrination';
const TEXT = `a long ${WORD} through`;
const HIDDEN = JSON.stringify({ inline: Buffer.from(`{"text":"${TEXT}"}`).toString('base64') });

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
  for await (const key of bucket.keys(signal)) await bucket.remove(key);
});

const wordsIn = (bytes: Buffer): Set<string> => {
  const found = new Set<string>();
  words(bytes, (word) => found.add(word));
  return found;
};

const search = () => searchRest({ redis, bucket }, new Set([WORD]), signal);

describe('words', () => {
  test.each(['', '\u0000', 'é', '"', 'x/', 'AB', 'ABC', 'sealdex:'])(
    'are found in base64 that stands after "%s", in both alphabets',
    (before) => {
      for (const alphabet of ['base64', 'base64url'] as const) {
        const text = Buffer.from(`\u00ff\u00fe>?${TEXT}`).toString(alphabet);
        expect(wordsIn(Buffer.from(`${before}${text}`))).toContain(WORD);
      }
    },
  );

  test('have 10 to 40 letters, and case does not matter', () => {
    const text = `short ninechars PereGrination ${'x'.repeat(41)} ${'y'.repeat(40)} Under_Standings1abcdefghij`;
    const found = wordsIn(Buffer.from(text));
    for (const word of [WORD, 'y'.repeat(40), 'standings', 'abcdefghij'].filter((each) => each.length >= 10))
      expect(found).toContain(word);
    for (const word of ['short', 'ninechars', 'x'.repeat(41), 'standings']) expect(found).not.toContain(word);
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

describe.each(Object.entries(PLACES))('a word in %s', (_, plant) => {
  test.each([
    ['as it is', TEXT],
    ['in base64', HIDDEN],
  ])('is found %s, and gone when it is gone', async (_how, text) => {
    await plant(text);
    expect(await search()).toMatchObject({ wordsInRedis: 1, wordsInS3: 0 });
    await redis.flushdb();
    expect(await search()).toMatchObject({ wordsInRedis: 0, wordsInS3: 0 });
  });
});

const OBJECTS: Readonly<Record<string, (text: string) => Promise<void>>> = {
  'the name of an object': (text) => bucket.put(`documents/${text}`, randomBytes(10), {}, signal),
  'the body of an object': (text) =>
    bucket.put('o', Buffer.concat([randomBytes(100_000), Buffer.from(`\n${text}\n`), randomBytes(10)]), {}, signal),
  'the metadata of an object': (text) => bucket.put('o', randomBytes(10), { note: text }, signal),
};

describe.each(Object.entries(OBJECTS))('a word in %s', (_, plant) => {
  test.each([
    ['as it is', TEXT],
    ['in base64', HIDDEN],
  ])('is found %s, on whichever page of the bucket', async (_how, text) => {
    for (const name of ['a', 'b', 'c', 'x', 'y']) await bucket.put(name, randomBytes(10), {}, signal);
    await plant(text);
    expect(await search()).toMatchObject({ wordsInRedis: 0, wordsInS3: 1, objects: 6 });
  });
});

test('nothing is found in ciphertext, raw or in base64', async () => {
  const corpus = new Set(['encryption', 'peregrination', 'characters', 'information']);
  const plaintext = Buffer.from(`${[...corpus].join(' ')}\n`.repeat(40_000));
  const cipher = createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(12));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  await bucket.put('o', ciphertext, {}, signal);
  await redis.hset('k', 'data', JSON.stringify({ inline: ciphertext.subarray(0, 500_000).toString('base64') }));
  const result = await searchRest({ redis, bucket }, corpus, signal);
  expect(result).toMatchObject({ wordsInRedis: 0, wordsInS3: 0, redisKeys: 1, objects: 1, bytes: ciphertext.length });
  await bucket.put('p', plaintext, {}, signal);
  expect(await searchRest({ redis, bucket }, corpus, signal)).toMatchObject({ wordsInS3: corpus.size });
});

test('what was planted to prove the search is gone afterwards, and was not counted', async () => {
  expect(await search()).toEqual({
    redisKeys: 0,
    objects: 0,
    bytes: 0,
    wordsInRedis: 0,
    wordsInS3: 0,
    controls: 4,
  });
  expect(await redis.dbsize()).toBe(0);
  expect(await Array.fromAsync(bucket.keys(signal))).toEqual([]);
});

test('a search that misses what was planted is an error, and cleans up', async () => {
  const blind: Bucket = { ...bucket, get: async () => undefined };
  await expect(searchRest({ redis, bucket: blind }, new Set([WORD]), signal)).rejects.toThrow(/missed a word/);
  expect(await redis.dbsize()).toBe(0);
  expect(await Array.fromAsync(bucket.keys(signal))).toEqual([]);
});

test('an abort ends a search', async () => {
  const aborted = AbortSignal.abort(new Error('enough'));
  await expect(visitRedis(redis, () => {}, aborted)).rejects.toThrow('enough');
  await expect(searchRest({ redis, bucket }, new Set([WORD]), aborted)).rejects.toThrow('enough');
});

test('what is known to be there anyway can be learned', async () => {
  await redis.set('k', TEXT);
  await bucket.put('o', Buffer.from('anotherword'), {}, signal);
  const known = await wordsAtRest({ redis, bucket }, signal);
  expect(known).toContain(WORD);
  expect(known).toContain('anotherword');
});
