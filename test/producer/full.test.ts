// A producer rejects requests beyond a limit, with a retry time, and rejected requests use no memory.
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startRedis } from '@sealdex/local-aws';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { IndexRequest, Producer } from '../../src/producer/producer.ts';
import { eventually } from '../support/eventually.ts';
import { codeOf, documentOf, ended, openScene, refusalOf, type Scene } from './fixture.ts';

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_TENANT_BACKLOG_JOBS: 20 });
  producer = await scene.producer();
});
beforeEach(() => scene.services.kms.faults.clear());
afterAll(() => scene[Symbol.asyncDispose]());

const request = (tenant: string, id: string, more: Partial<IndexRequest> = {}): IndexRequest => ({
  tenant,
  corpus: 'docs',
  document: documentOf(id),
  ...more,
});
const requests = (tenant: string, count: number): IndexRequest[] =>
  Array.from({ length: count }, (_, n) => request(tenant, `document-${n}`));

const words = (results: readonly (object | SealdexError)[]): string[] =>
  results.map((result) => (result instanceof SealdexError ? result.code : 'queued'));

const backlogOf = (tenant: string): Promise<string | null> =>
  scene.redis.hget(`sealdex:{${scene.config.queue}}:backlog:jobs`, tenant);

describe("a tenant's full backlog", () => {
  it('rejects its next request with TENANT_BACKLOG_FULL, and another tenant continues', async () => {
    await scene.tenant('full');
    await scene.tenant('other');
    expect(words(await producer.enqueueIndexBulk(requests('full', 20)))).toEqual(
      Array.from({ length: 20 }, () => 'queued'),
    );
    const refused = await refusalOf(() => producer.enqueueIndex(request('full', 'more')));
    expect(refused).toMatchObject({ code: 'TENANT_BACKLOG_FULL', retryAfterMs: 60_000 });
    expect(await codeOf(() => producer.enqueueIndex(request('full', 'more', { idempotencyKey: 'more' })))).toBe(
      'TENANT_BACKLOG_FULL',
    );
    expect(await producer.enqueueIndex(request('other', 'one'))).toMatchObject({ status: 'queued' });
  });

  it('accepts from a bulk what fits, and skips the rest of that tenant', async () => {
    await scene.tenant('bulk');
    const mixed = requests('bulk', 2000).flatMap((one, n) =>
      n % 200 === 0 ? [one, request('other', `b-${n}`)] : [one],
    );
    const results = await producer.enqueueIndexBulk(mixed);
    const mine = words(results.filter((_, n) => mixed[n]!.tenant === 'bulk'));
    expect(mine.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 'queued'));
    expect(new Set(mine.slice(20))).toEqual(new Set(['TENANT_BACKLOG_FULL']));
    expect(new Set(words(results.filter((_, n) => mixed[n]!.tenant === 'other')))).toEqual(new Set(['queued']));
    expect(await backlogOf('bulk')).toBe('20');
  });

  it('accepts requests again when jobs are done', async () => {
    await scene.tenant('drained');
    const [first] = await producer.enqueueIndexBulk(requests('drained', 20));
    expect(first).toMatchObject({ status: 'queued' });
    const stop = await scene.work();
    await eventually(async () => (await backlogOf('drained')) === null);
    expect(await producer.enqueueIndex(request('drained', 'more'))).toMatchObject({ status: 'queued' });
    await stop();
  });
});

it('a request that fails before its job is queued takes no slot', async () => {
  const keyArn = await scene.tenant('locked');
  await scene.operator.putTenant('locked', { whenKeyShut: 'refuse' });
  scene.services.kms.disable(keyArn);
  for (const more of [{}, { idempotencyKey: 'locked' }]) {
    expect(await codeOf(() => producer.enqueueIndex(request('locked', 'one', more)))).toBe('KEY_DISABLED');
    expect(await backlogOf('locked')).toBeNull();
  }
  expect(new Set(words(await producer.enqueueIndexBulk(requests('locked', 30))))).toEqual(new Set(['KEY_DISABLED']));
  expect(await backlogOf('locked')).toBeNull();
  await scene.operator.putTenant('locked', { whenKeyShut: 'park' });
  // As soon as the producer has received the change.
  const again = await eventually(() =>
    producer.enqueueIndex(request('locked', 'one', { idempotencyKey: 'locked' })).catch(() => undefined),
  );
  expect(again).toMatchObject({ status: 'queued' });
  expect(await backlogOf('locked')).toBe('1');
});

it('a Redis three quarters full rejects with QUEUE_FULL before a reservation, and jobs still finish', async () => {
  const server = await startRedis();
  const redis = new Redis(server.url);
  const own = await openScene({ REDIS_URL: server.url });
  try {
    await own.tenant('acme');
    const prompt = await own.producer();
    const { jobId } = await prompt.enqueueIndex(request('acme', 'before'));
    // Connections need almost no memory compared with this.
    await redis.setrange('padding', 20_000_000, 'x');
    const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
    await redis.config('SET', 'maxmemory', String(Math.round(used / 0.85)));
    const revision = `sealdex:{${own.config.queue}}:stamp:revision`;
    const full = await eventually(() =>
      prompt.enqueueIndex(request('acme', 'probe', { idempotencyKey: 'probe' })).then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
    expect(full).toMatchObject({ code: 'QUEUE_FULL', retryAfterMs: 30_000 });
    const last = await redis.get(revision);
    expect(new Set(words(await prompt.enqueueIndexBulk(requests('acme', 40))))).toEqual(new Set(['QUEUE_FULL']));
    expect(await redis.get(revision)).toBe(last);
    const stop = await own.work();
    await ended(prompt, jobId);
    await stop();
    await redis.config('SET', 'maxmemory', '0');
    const after = await eventually(() => prompt.enqueueIndex(request('acme', 'after')).catch(() => undefined));
    expect(after).toMatchObject({ status: 'queued' });
  } finally {
    await own[Symbol.asyncDispose]();
    redis.disconnect();
    await server.stop();
  }
});
