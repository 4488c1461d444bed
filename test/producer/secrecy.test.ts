// Content never leaves the producer in plain text: planted words of a document are not found while its job waits.
import { inspect } from 'node:util';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RedisServer, startRedis } from '@sealdex/local-aws';
import { findLeaks } from './leaks.ts';
import { ended, openScene, resultOf, type Scene } from './fixture.ts';

const WORDS = ['marmalade-7731', 'Überraschung-4402', 'xylophone-9917', 'id-of-zebra-1203', 'key-of-gnu-5518'] as const;
const [TEXT, TITLE, VALUE, ID, NAME] = WORDS;
const IDEMPOTENCY_KEY = 'order-of-walrus-8080';

let redis: RedisServer;
let scene: Scene;

beforeAll(async () => {
  // A separate Redis: planted words of other tests must not be found.
  redis = await startRedis();
  scene = await openScene({ REDIS_URL: redis.url });
  await scene.tenant('acme');
});
afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await redis.stop();
});

const planted = (id: string, chars: number): object => ({
  type: 'structured',
  id: `${ID} ${id}`,
  title: TITLE,
  description: VALUE,
  metadata: { [NAME]: VALUE, list: [{ [NAME]: TEXT }] },
  sections: [{ title: TITLE, text: `${TEXT} is what it says. `.repeat(chars / 30), metadata: { [NAME]: VALUE } }],
});

it('the words of a document are never in Redis or S3, neither while its job waits nor later, inline or in S3', async () => {
  const producer = await scene.producer();
  const results = [];
  for (const chars of [30, 300, 30_000]) {
    const document = planted(`${chars}`, chars);
    results.push(
      await producer.enqueueIndex({
        tenant: 'acme',
        corpus: 'docs',
        document,
        idempotencyKey: IDEMPOTENCY_KEY + chars,
      }),
      ...(await producer.enqueueIndexBulk([{ tenant: 'acme', corpus: 'bulk', document }])),
    );
  }
  const words = [...WORDS, IDEMPOTENCY_KEY];
  const waiting = await findLeaks(scene.redis, scene.store, words);
  expect(waiting.found).toEqual([]);
  expect(waiting.types).toEqual(expect.arrayContaining(['hash', 'stream', 'string', 'zset']));
  expect(await scene.jobs()).toHaveLength(6);
  expect(await scene.keysOf('intake/')).toHaveLength(2);

  const stop = await scene.work();
  for (const result of results) await ended(producer, resultOf(result).jobId);
  await stop();
  const done = await findLeaks(scene.redis, scene.store, words);
  expect(done.found).toEqual([]);
  expect(await scene.keysOf('documents/')).toHaveLength(6);
});

it('the words of rejected documents are not there either', async () => {
  const producer = await scene.producer();
  const document = { ...planted('bad', 30), titel: VALUE };
  const [refused] = await producer.enqueueIndexBulk([{ tenant: 'acme', corpus: 'docs', document }]);
  expect(refused).toMatchObject({ code: 'DOCUMENT_INVALID' });
  const printed = inspect(refused, { depth: 9, showHidden: true });
  for (const word of WORDS) expect(printed).not.toContain(word);
  expect((await findLeaks(scene.redis, scene.store, WORDS)).found).toEqual([]);
});

it('the same search finds each planted word: in every type of value, in job data, and in S3', async () => {
  const key = (type: string): string => `planted:${type}`;
  const other = new Redis(redis.url);
  try {
    await other.set(key('string'), Buffer.from(`x${TEXT}y`).toString('base64'));
    await other.hset(key('hash'), 'field', `{"title":"${TITLE}"}`);
    await other.rpush(key('list'), VALUE);
    await other.sadd(key('set'), Buffer.from(`xy${ID}`).toString('base64'));
    await other.zadd(key('zset'), 1, Buffer.from(NAME).toString('hex'));
    await other.xadd(key('stream'), '*', 'data', Buffer.from(TEXT, 'utf16le'));
    await scene.store.put('planted/body', Buffer.from(`...${TITLE}...`), {});
    await scene.store.put('planted/metadata', Buffer.from('nothing'), { metadata: { word: VALUE } });
    const queue = new Queue('planted', { connection: { url: redis.url } });
    const inline = Buffer.from(JSON.stringify({ text: TEXT })).toString('base64');
    await queue.add('index', { content: { inline } }, { jobId: 'planted' });
    await queue.close();
    const { found } = await findLeaks(scene.redis, scene.store, WORDS);
    expect(found).toEqual(
      expect.arrayContaining([
        ...['string', 'hash', 'list', 'set', 'zset', 'stream'].map((type) => `redis ${key(type)}`),
        'redis bull:planted:planted',
        's3 planted/body',
        's3 planted/metadata',
      ]),
    );
  } finally {
    other.disconnect();
  }
});
