// The place of content: in the job up to SEALDEX_INLINE_BYTES, in S3 beyond; and its removal by the producer.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RedisServer, startRedis, S3_ERRORS } from '@sealdex/local-aws';
import type { EnqueueResult } from '../../src/producer/producer.ts';
import { intakeRemovals } from '../../src/maintenance/intake-removals.ts';
import { removeContent } from '../../src/producer/make-job.ts';
import { openQueue } from '../../src/queue/bull/queues.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { intakeName } from '../../src/runtime/intake-key.ts';
import { objectName } from '../../src/runtime/names.ts';
import { putIntake } from '../../src/store/intake.ts';
import { newIntakePlace } from '../support/intake.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { documentOf, ended, objectAt, openScene, refusalOf, type Scene } from './fixture.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
});
afterAll(() => scene[Symbol.asyncDispose]());

const request = (id: string, chars = 100) => ({ tenant: 'acme', corpus: 'docs', document: documentOf(id, chars) });

async function contentOf({ jobId }: EnqueueResult): Promise<{ inline?: string; intake?: string }> {
  const { data } = await scene.operator.job(jobId);
  return { ...(data?.kind === 'index' ? data.content : {}) };
}

async function onlyKeyOf({ jobId }: EnqueueResult): Promise<string> {
  const keys = await scene.keysOf(`intake/acme/${jobId}/`);
  expect(keys).toHaveLength(1);
  return keys[0]!;
}

describe('content', () => {
  it('is stored in the job up to SEALDEX_INLINE_BYTES of message, and in S3 from one byte more', async () => {
    const first = await (await scene.producer()).enqueueIndex(request('size'));
    const bytes = Buffer.from((await contentOf(first)).inline ?? '', 'base64').length;
    expect(bytes).toBeGreaterThan(100);
    const fits = await scene.producer({ SEALDEX_INLINE_BYTES: bytes });
    expect(await contentOf(await fits.enqueueIndex(request('size')))).toEqual({ inline: expect.any(String) as string });
    const tight = await scene.producer({ SEALDEX_INLINE_BYTES: bytes - 1 });
    expect(await contentOf(await tight.enqueueIndex(request('size')))).toEqual({
      intake: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    });
  });

  it('is stored only in S3 with SEALDEX_INLINE_BYTES 0, with the metadata to rebuild a lost queue', async () => {
    const producer = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
    const result = await producer.enqueueIndex(request('tiny', 1));
    const { intake } = await contentOf(result);
    const { metadata, bytes } = await objectAt(scene.store, await onlyKeyOf(result));
    expect((await onlyKeyOf(result)).endsWith(`/${intake}`)).toBe(true);
    expect(metadata).toEqual({
      corpus: 'docs',
      kind: 'index',
      revision: String(result.revision),
      'job-id': result.jobId,
      v: '1',
    });
    expect(bytes[0]).toBe(2);
    expect((await scene.redis.keys(`*${intake}*`)).length).toBe(0);
  });

  it('is an empty object for a deletion with SEALDEX_INLINE_BYTES 0, deleted once the deletion is stored', async () => {
    const deletion = { tenant: 'acme', corpus: 'docs', id: 'tiny' };
    const producer = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
    const result = await producer.enqueueDelete(deletion);
    const { jobId, revision } = result;
    const object = objectName('tiny');
    expect((await onlyKeyOf(result)).slice('intake/'.length)).toMatch(
      new RegExp(`^acme/${jobId}/${scene.config.queue}/delete/${revision}/${object}/docs/[0-9a-f]{16}$`),
    );
    expect((await objectAt(scene.store, await onlyKeyOf(result))).bytes).toHaveLength(0);
    const plain = await (await scene.producer()).enqueueDelete(deletion);
    expect(await scene.keysOf(`intake/acme/${plain.jobId}/`)).toEqual([]);
    const stop = await scene.work();
    await ended(producer, jobId);
    await ended(producer, plain.jobId);
    await eventually(async () => (await scene.keysOf(`intake/acme/${jobId}/`)).length === 0);
    expect(
      await eventually(async () => (await scene.redis.zcard(redisKeys(scene.config.queue).intakeRemovals)) === 0),
    ).toBe(true);
    await stop();
  });

  it('is deleted from S3 once its document is stored', async () => {
    const producer = await scene.producer();
    const { jobId } = await producer.enqueueIndex(request('large', 50_000));
    expect(await scene.keysOf(`intake/acme/${jobId}/`)).toHaveLength(1);
    const stop = await scene.work();
    await ended(producer, jobId);
    await eventually(async () => (await scene.keysOf(`intake/acme/${jobId}/`)).length === 0);
    await stop();
  });
});

describe('content that S3 does not delete', () => {
  const keys = () => redisKeys(scene.config.queue);
  const pending = (): Promise<string[]> => scene.redis.zrange(keys().intakeRemovals, '0', '-1');

  /** What a worker does a minute later. */
  async function removePending(): Promise<void> {
    for (const name of await pending()) await scene.redis.zadd(keys().intakeRemovals, 1, name);
    await intakeRemovals({ redis: scene.redis, keys: keys(), store: scene.store }).run(new AbortController().signal);
  }

  it('at the end of its job is deleted later', async () => {
    const fault = scene.services.s3.faults.set({
      match: { method: 'DELETE', prefix: 'intake/' },
      fault: S3_ERRORS.accessDenied,
    });
    const producer = await scene.producer();
    const { jobId } = await producer.enqueueIndex(request('kept', 50_000));
    const stop = await scene.work();
    await ended(producer, jobId);
    await stop();
    fault.clear();
    expect(await scene.keysOf(`intake/acme/${jobId}/`)).toHaveLength(1);
    expect((await pending()).filter((name) => name.includes(jobId))).toHaveLength(1);
    await removePending();
    expect(await scene.keysOf(`intake/acme/${jobId}/`)).toEqual([]);
    expect(await pending()).toEqual([]);
  });

  it('after a duplicate request is deleted later', async () => {
    const place = newIntakePlace(scene.config.queue);
    await putIntake(scene.store, place, Buffer.from('message'));
    const { tenant, corpus, revision, object, intake } = place;
    const data = { v: 1, kind: 'index', tenant, corpus, revision, object, content: { intake } } as const;
    const queue = openQueue(scene.config, scene.redis, systemClock);
    const remove = () => Promise.reject(new Error('S3 is unavailable'));
    await removeContent(queue, { data, place, remove });
    await queue.close();
    expect(await pending()).toEqual([intakeName(place)]);
    await removePending();
    expect(await scene.keysOf(`intake/acme/${place.jobId}/`)).toEqual([]);
  });
});

describe('content of an unqueued job', () => {
  it('is not stored when S3 rejects it, and the job is not queued', async () => {
    const producer = await scene.producer();
    const before = (await scene.jobs()).length;
    const fault = scene.services.s3.faults.set({ match: { prefix: 'intake/' }, fault: S3_ERRORS.accessDenied });
    const error = await refusalOf(() => producer.enqueueIndex(request('refused', 50_000)));
    fault.clear();
    expect(error).toMatchObject({ code: 'STORE_FAILED', reason: 'AccessDenied' });
    expect(await scene.jobs()).toHaveLength(before);
  });
});

describe('content', () => {
  let redis: RedisServer;
  let own: Scene;

  beforeAll(async () => {
    redis = await startRedis();
    own = await openScene({ REDIS_URL: redis.url, SEALDEX_INLINE_BYTES: 0 });
    await own.tenant('acme');
  });
  afterAll(async () => {
    await own[Symbol.asyncDispose]();
    await redis.stop();
  });

  /** Runs `then` while the content of a request is on its way into S3, which is after its reservation. */
  async function duringIntake(enqueue: () => Promise<unknown>, then: () => Promise<unknown>): Promise<unknown> {
    const fault = own.services.s3.faults.set({ match: { method: 'PUT', prefix: 'intake/' }, fault: { kind: 'hang' } });
    const pending = enqueue().catch((error: unknown) => error);
    await eventually(() => fault.waiting === 1);
    await then();
    fault.clear();
    return pending;
  }

  it.each(['', 'an idempotency key'])('is deleted again when a full Redis rejects the job %s', async (key) => {
    const producer = await own.producer();
    const sent = { ...request('full'), ...(key === '' ? {} : { idempotencyKey: key }) };
    await producer.enqueueIndex(request('before'));
    const before = await own.keysOf('intake/');
    const error = await duringIntake(
      () => producer.enqueueIndex(sent),
      () => own.redis.config('SET', 'maxmemory', '1mb'),
    );
    await own.redis.config('SET', 'maxmemory', '0');
    expect(error).toMatchObject({ code: 'QUEUE_FULL', reason: 'OOM', retryAfterMs: 30_000 });
    expect(await own.keysOf('intake/')).toEqual(before);
    expect(await producer.enqueueIndex(sent)).toMatchObject({ status: 'queued' });
  });

  /** Freezes Redis while the content is on its way into S3, so that no later command gets a response. */
  async function cutOff(sent: () => Promise<unknown>): Promise<unknown> {
    const error = await duringIntake(sent, async () => process.kill(redis.pid, 'SIGSTOP'));
    process.kill(redis.pid, 'SIGCONT');
    return error;
  }

  it('stays when it is unknown whether the job was queued', async () => {
    using _real = realDeadlines({ promptMs: 5000 });
    const producer = await own.producer();
    const before = (await own.keysOf('intake/')).length;
    expect(await cutOff(() => producer.enqueueIndex(request('cut')))).toMatchObject({ code: 'REDIS_FAILED' });
    expect((await own.keysOf('intake/')).length).toBe(before + 1);
  });

  it('is deleted again when Redis is lost before the job is added, and the same key queues it again', async () => {
    using _real = realDeadlines({ promptMs: 5000 });
    const producer = await own.producer();
    const sent = { ...request('lost'), idempotencyKey: 'lost' };
    await producer.enqueueIndex(request('before'));
    const before = await own.keysOf('intake/');
    expect(await cutOff(() => producer.enqueueIndex(sent))).toMatchObject({ code: 'REDIS_FAILED' });
    expect(await own.keysOf('intake/')).toEqual(before);
    const again = await eventually(() => producer.enqueueIndex(sent).catch(() => undefined));
    const stop = await own.work();
    expect(await ended(producer, again.jobId)).toMatchObject({ state: 'done' });
    await stop();
  });
});
