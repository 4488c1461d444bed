// The revision floor in S3: written while Redis lives, used by a Redis that replaces it, so that newer documents stay newer.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { revisionFloor } from '../../src/maintenance/revision-floor.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { redisKeys, type RedisKeys } from '../../src/runtime/redis.ts';
import { readFloor, writeFloor } from '../../src/store/revision-floor.ts';
import { codeOf, documentOf, ended, openScene, type Scene } from '../producer/fixture.ts';

let scene: Scene;
let keys: RedisKeys;

beforeEach(async () => {
  scene = await openScene();
  keys = redisKeys(scene.config.queue);
  await scene.tenant('acme');
});
afterEach(() => scene[Symbol.asyncDispose]());

const aheadOf = (ms: number): number => (Date.now() + ms) * 1000;

const keepFloor = (): Promise<void> =>
  revisionFloor({ config: scene.config, clock: systemClock, redis: scene.redis, keys, store: scene.store }).run(
    new AbortController().signal,
  );
const floor = async () => (await readFloor(scene.store, scene.config.queue, systemClock)).floor;

describe('after a loss of a Redis with a clock 48 s ahead', () => {
  it('a newer document and a deletion are not superseded', async () => {
    const producer = await scene.producer();
    const index = (id: string, title: string) =>
      producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: { ...documentOf(id), title } });
    await scene.redis.set(keys.revision, aheadOf(48_000));
    const stop = await scene.work();
    await ended(producer, (await index('a', 'old')).jobId);
    await ended(producer, (await index('b', 'old')).jobId);
    await keepFloor();
    await scene.redis.del(keys.revision);
    await ended(producer, (await index('a', 'new')).jobId);
    await ended(producer, (await producer.enqueueDelete({ tenant: 'acme', corpus: 'docs', id: 'b' })).jobId);
    const reader = await scene.reader();
    expect((await reader.metadata({ tenant: 'acme', corpus: 'docs', id: 'a' })).title).toBe('new');
    expect(await codeOf(() => reader.metadata({ tenant: 'acme', corpus: 'docs', id: 'b' }))).toBe('NOT_FOUND');
    await stop();
  });
});

describe('the floor', () => {
  it('is the last revision and the lead of the clock of Redis over that of S3', async () => {
    await keepFloor();
    expect(await floor()).toBeUndefined();
    const last = aheadOf(0);
    await scene.redis.set(keys.revision, last);
    await keepFloor();
    await keepFloor();
    const { revision, leadMs } = (await floor())!;
    expect(revision).toBe(last);
    expect((await scene.store.get(`system/${scene.config.queue}/floor`))?.servedAt).toBeDefined();
    expect(Math.abs(leadMs)).toBeLessThan(60_000);
  });

  it('is not written again without a new revision', async () => {
    await scene.redis.set(keys.revision, aheadOf(0));
    await keepFloor();
    // The first floor has the time of this process, since S3 gives its time with an object.
    await keepFloor();
    scene.services.s3.requests.reset();
    await keepFloor();
    expect(scene.services.s3.requests.all()).toEqual({ 'GET object': 1 });
  });

  it('raises the counter of a Redis that has lost its last revisions', async () => {
    const last = aheadOf(30_000);
    await writeFloor(scene.store, scene.config.queue, { revision: last, leadMs: 0 });
    await scene.redis.set(keys.revision, last - 5_000_000);
    await keepFloor();
    expect(Number(await scene.redis.get(keys.revision))).toBe(last);
  });

  it('is ignored if it is invalid', async () => {
    for (const text of ['', 'no json', '{"v":1}', `{"v":1,"revision":"1","leadMs":0}`, 'x'.repeat(2000)]) {
      await scene.store.put(`system/${scene.config.queue}/floor`, Buffer.from(text), {});
      expect(await floor()).toBeUndefined();
    }
  });
});
