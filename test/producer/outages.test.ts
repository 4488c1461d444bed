// Outages of Redis, KMS or S3: a typed error soon, no partial state, and the same producer works again afterwards.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createOperator, createProducer, createReader, type Settings } from '../../src/app/app.ts';
import { KMS_ERRORS, freePort, startRedis, type RedisServer, S3_ERRORS } from '@sealdex/local-aws';
import { startServices } from '../../src/cli/dev/local-services.ts';
import type { SealdexError } from '../../src/runtime/errors.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { codeOf, documentOf, openScene, refusalOf, type Scene } from './fixture.ts';

/** "About a second" is measured and printed; this only limits a hanging call. */
const SOON_MS = 60_000;

/** No server listens there, and no other test uses the port. */
const CLOSED_PORT = 1;

/** The error of a call with the deadlines of the product, which must come soon. */
async function soon(what: string, work: () => Promise<unknown>): Promise<SealdexError> {
  using _real = realDeadlines();
  const begun = performance.now();
  const error = await refusalOf(work);
  const tookMs = performance.now() - begun;
  console.info(`${what}: ${error.code} (${error.reason ?? '-'}) after ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(SOON_MS);
  return error;
}

/** Accepts connections and never responds. */
class Silence {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.on('error', () => {});
  });

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}

let scene: Scene;
let silence: Silence;
let silentPort: number;

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
  silence = new Silence();
  silentPort = await silence.listen();
});
beforeEach(() => {
  scene.services.kms.faults.clear();
  scene.services.s3.faults.clear();
});
afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await silence.stop();
});

const request = (tenant = 'acme', chars = 100) => ({ tenant, corpus: 'docs', document: documentOf('doc', chars) });

describe.each(['refuses connections', 'takes connections and never answers'])('a service that %s', (how) => {
  const at = (): string => `127.0.0.1:${how.startsWith('refuses') ? CLOSED_PORT : silentPort}`;

  it('prevents opening a producer or reader if it is Redis', async () => {
    const settings: Settings = { ...scene.settings, REDIS_URL: `redis://${at()}` };
    expect((await soon(`Redis ${how}, producer`, () => createProducer(settings))).code).toBe('REDIS_FAILED');
    expect((await soon(`Redis ${how}, reader`, () => createReader(settings))).code).toBe('REDIS_FAILED');
  });

  it('prevents enqueueing if it is KMS, and nothing is queued', async () => {
    const producer = await scene.producer({ AWS_ENDPOINT_URL_KMS: `http://${at()}` });
    const before = await scene.jobs();
    const error = await soon(`KMS ${how}`, () => producer.enqueueIndex({ ...request(), idempotencyKey: how }));
    expect(error.code).toBe('KMS_FAILED');
    expect(await scene.jobs()).toEqual(before);
    expect(await (await scene.producer()).enqueueIndex({ ...request(), idempotencyKey: how })).toMatchObject({
      status: 'queued',
    });
  });

  it('prevents enqueueing if it is S3, and nothing is queued', async () => {
    const producer = await scene.producer({ AWS_ENDPOINT_URL_S3: `http://${at()}` });
    const before = await scene.jobs();
    expect((await soon(`S3 ${how}`, () => producer.enqueueIndex(request()))).code).toBe('STORE_FAILED');
    expect(await scene.jobs()).toEqual(before);
  });
});

it('S3 that hangs during the upload of content causes a typed error, and nothing is queued', async () => {
  const producer = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
  await producer.enqueueIndex(request());
  const before = await scene.jobs();
  scene.services.s3.faults.set({ match: { prefix: 'intake/' }, fault: { kind: 'hang' } });
  expect((await soon('S3 silent at intake', () => producer.enqueueIndex(request()))).code).toBe('STORE_FAILED');
  scene.services.s3.faults.clear();
  scene.services.s3.faults.set({ match: { prefix: 'intake/' }, fault: S3_ERRORS.slowDown });
  expect((await soon('S3 503 at intake', () => producer.enqueueIndex(request()))).code).toBe('STORE_FAILED');
  scene.services.s3.faults.clear();
  expect(await scene.jobs()).toEqual(before);
  expect(await producer.enqueueIndex(request())).toMatchObject({ status: 'queued' });
});

it('KMS that throttles or fails occasionally causes a typed error, and the next call works', async () => {
  await scene.tenant('flapping');
  const producer = await scene.producer();
  for (const [name, code] of [
    ['throttled', 'KMS_THROTTLED'],
    ['internal', 'KMS_FAILED'],
  ] as const) {
    scene.services.kms.faults.set({ fault: KMS_ERRORS[name] });
    expect((await soon(`KMS ${name}`, () => producer.enqueueIndex(request('flapping')))).code).toBe(code);
    scene.services.kms.faults.clear();
  }
  expect(await producer.enqueueIndex(request('flapping'))).toMatchObject({ status: 'queued' });
});

it('a bucket that does not exist is named as the reason', async () => {
  const producer = await scene.producer({ SEALDEX_BUCKET: 'no-such-bucket' });
  expect(await refusalOf(() => producer.enqueueIndex(request()))).toMatchObject({
    code: 'PLATFORM_TENANTS',
    reason: 'NoSuchBucket',
    message:
      'tenants/acme.json cannot be read. The bucket does not exist. Check SEALDEX_BUCKET and AWS_REGION, or create the bucket.',
  });
});

describe('an open producer', () => {
  it('fails within its deadline while Redis is away, and works again afterwards', async () => {
    using _real = realDeadlines({ promptMs: 5000 });
    const port = await freePort();
    let redis: RedisServer = await startRedis({ port });
    const producer = await scene.producer({ REDIS_URL: redis.url, SEALDEX_QUEUE: 'comes-back' });
    const queue = (): Promise<unknown> => producer.enqueueIndex(request());
    try {
      expect(await queue()).toMatchObject({ status: 'queued' });
      await redis.stop();
      expect((await soon('Redis stopped, enqueue', queue)).code).toBe('REDIS_FAILED');
      expect((await soon('Redis stopped, status', () => producer.status(`j${'0'.repeat(32)}`))).code).toBe(
        'REDIS_FAILED',
      );
      expect(await producer.enqueueIndexBulk([request(), request()])).toMatchObject([
        { code: 'REDIS_FAILED' },
        { code: 'REDIS_FAILED' },
      ]);
      redis = await startRedis({ port });
      expect(await eventually(() => queue().catch(() => false))).toMatchObject({ status: 'queued' });

      process.kill(redis.pid, 'SIGSTOP');
      expect((await soon('Redis frozen, enqueue', queue)).code).toBe('REDIS_FAILED');
      process.kill(redis.pid, 'SIGCONT');
      expect(await eventually(() => queue().catch(() => false))).toMatchObject({ status: 'queued' });
    } finally {
      await producer[Symbol.asyncDispose]();
      await redis.stop();
    }
  });

  it('can be closed while Redis is frozen or stopped', async () => {
    for (const end of ['SIGSTOP', 'SIGKILL'] as const) {
      const redis = await startRedis();
      const producer = await createProducer({ ...scene.settings, REDIS_URL: redis.url });
      await producer.enqueueIndex(request());
      process.kill(redis.pid, end);
      const pending = codeOf(() => producer.enqueueIndex(request()));
      const begun = performance.now();
      await producer[Symbol.asyncDispose]();
      console.info(`dispose with Redis after ${end}: ${Math.round(performance.now() - begun)} ms`);
      expect(performance.now() - begun).toBeLessThan(SOON_MS);
      expect(await pending).toBe('REDIS_FAILED');
      if (end === 'SIGSTOP') process.kill(redis.pid, 'SIGCONT');
      await redis.stop();
    }
  });

  it('works again after an outage of Redis, S3 and KMS together', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sealdex-outage-'));
    const portOf = (url: string): number => Number(new URL(url).port);
    let services = await startServices({ dir });
    const { redis, s3, kms } = services;
    const ports = { redis: redis.port, s3: portOf(s3.endpoint), kms: portOf(kms.endpoint) };
    const producer = await createProducer(services.settings);
    try {
      await using operator = await createOperator(services.settings);
      await operator.putTenant('acme', { plan: 'pro', kmsKeyArn: kms.createKey(), whenKeyShut: 'park' });
      await operator.putTenant('free', { plan: 'free' });
      const before = await producer.enqueueIndex({ ...request(), idempotencyKey: 'before' });
      await services.stop();
      expect((await soon('all stopped', () => producer.enqueueIndex(request()))).code).toMatch(/_FAILED$/);
      services = await startServices({ dir, ports });
      for (const tenant of ['acme', 'free'])
        expect(await eventually(() => producer.enqueueIndex(request(tenant)).catch(() => false))).toMatchObject({
          status: 'queued',
        });
      const again = await producer.enqueueIndex({ ...request(), idempotencyKey: 'before' });
      expect(again).toMatchObject({ status: 'duplicate', revision: before.revision, state: 'queued' });
    } finally {
      await producer[Symbol.asyncDispose]();
      await services.stop();
      await rm(dir, { recursive: true, force: true });
    }
  });
});
