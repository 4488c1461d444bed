// Heartbeats: written, added up, limited, removed with their process.
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { createOperator, createProducer, startWorker } from '../../src/app/app.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { startRedis } from '@sealdex/local-aws';
import {
  readHeartbeats,
  startHeartbeat,
  type HeartbeatLoop,
  type HeartbeatFacts,
} from '../../src/maintenance/heartbeat.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { openInstallation } from '../journey/installation.ts';
import { documentOf } from '../support/documents.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';

const FACTS: HeartbeatFacts = {
  keys: 2,
  oldestKeyMs: 1500,
  lastVerifiedAgeMs: 1000,
  auditFailures: 1,
  kmsCalls: { Decrypt: 3 },
  tenants: ['acme'],
};

interface Place extends AsyncDisposable {
  readonly redis: Redis;
  readonly queue: string;
  readonly clock: FakeClock;
  heartbeat(facts?: () => Promise<HeartbeatFacts>): HeartbeatLoop;
}

async function openPlace(): Promise<Place> {
  const redis = new Redis(inject('redisUrl'));
  const queue = `t-${randomBytes(6).toString('hex')}`;
  const clock = new FakeClock(Date.now());
  const heartbeats: HeartbeatLoop[] = [];
  return {
    redis,
    queue,
    clock,
    heartbeat(facts = async () => FACTS) {
      const heartbeat = startHeartbeat({ redis, queue, clock, role: 'worker', facts });
      heartbeats.push(heartbeat);
      return heartbeat;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(heartbeats.map((heartbeat) => heartbeat.stop()));
      redis.disconnect();
    },
  };
}

test('a process writes its heartbeat repeatedly, and removes it when it stops', async () => {
  await using place = await openPlace();
  const { redis, queue, clock } = place;
  let keys = 1;
  const heartbeat = place.heartbeat(async () => ({ ...FACTS, keys }));
  const [read] = await eventually(async () => {
    const beats = await readHeartbeats(redis, queue);
    return beats.length === 1 ? beats : undefined;
  });
  expect(read).toEqual({
    ...FACTS,
    keys: 1,
    role: 'worker',
    pid: process.pid,
    started: clock.now(),
    process: read?.process,
  });
  keys = 7;
  await eventually(() => clock.pending === 1);
  clock.advance(5000);
  await eventually(async () => (await readHeartbeats(redis, queue))[0]?.keys === 7);
  await Promise.all([heartbeat.stop(), heartbeat.stop()]);
  await heartbeat.stop();
  expect(clock.pending).toBe(0);
  expect(await redis.keys(`sealdex:{${queue}}*`)).toEqual([]);
});

test('durations in a heartbeat are read as whole milliseconds', async () => {
  await using place = await openPlace();
  await place.heartbeat(async () => ({ ...FACTS, oldestKeyMs: 1500.6, lastVerifiedAgeMs: 1000.4 })).tick();
  const [read] = await readHeartbeats(place.redis, place.queue);
  expect(read).toMatchObject({ oldestKeyMs: 1501, lastVerifiedAgeMs: 1000 });
});

test('a heartbeat in progress during the stop does not bring the process back', async () => {
  await using place = await openPlace();
  const facts = Promise.withResolvers<HeartbeatFacts>();
  const heartbeat = place.heartbeat(() => facts.promise);
  const stopped = heartbeat.stop();
  facts.resolve(FACTS);
  await stopped;
  const sent = place.heartbeat();
  const ticking = sent.tick();
  await sent.stop();
  await ticking;
  expect(await place.redis.keys(`sealdex:{${place.queue}}*`)).toEqual([]);
});

test('a heartbeat names at most 1,000 tenants and expires after some seconds', async () => {
  await using place = await openPlace();
  const tenants = Array.from({ length: 2000 }, (_, index) => `tenant-${index}`);
  await place.heartbeat(async () => ({ ...FACTS, tenants })).tick();
  const [read] = await readHeartbeats(place.redis, place.queue);
  expect(read?.tenants.length).toBe(1000);
  const names = redisKeys(place.queue);
  const lives = await Promise.all(
    [names.heartbeats, names.heartbeat(read?.process ?? '')].map((key) => place.redis.pttl(key)),
  );
  for (const life of lives) {
    expect(life).toBeGreaterThan(0);
    expect(life).toBeLessThanOrEqual(15_000);
  }
});

test('expired heartbeats are removed, and invalid ones are skipped', async () => {
  await using place = await openPlace();
  const { redis, queue, clock } = place;
  const names = redisKeys(queue);
  await redis.zadd(names.heartbeats, clock.now(), 'broken', clock.now(), 'expired', clock.now() - 60_000, 'silent');
  await redis.set(names.heartbeat('broken'), '{"process":');
  await place.heartbeat().tick();
  expect((await readHeartbeats(redis, queue)).length).toBe(1);
  expect(await redis.zscore(names.heartbeats, 'silent')).toBeNull();
  await redis.del(names.heartbeat('broken'));
});

test('a Redis without a response does not delay a stop', async () => {
  const server = await startRedis();
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  redis.on('error', () => {});
  const heartbeat = startHeartbeat({
    redis,
    queue: 'frozen',
    clock: systemClock,
    role: 'worker',
    facts: async () => FACTS,
  });
  await eventually(async () => (await readHeartbeats(redis, 'frozen')).length === 1);
  process.kill(server.pid, 'SIGSTOP');
  const begun = performance.now();
  await heartbeat.stop();
  expect(performance.now() - begun).toBeLessThan(5000);
  process.kill(server.pid, 'SIGCONT');
  redis.disconnect();
  await server.stop();
});

test('status adds up the keys and calls of all processes', async () => {
  await using installation = await openInstallation();
  await installation.tenant('one');
  await installation.tenant('two');
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await using second = await createProducer(installation.settings);
  for (const [producer, tenant] of [
    [installation.producer, 'one'],
    [second, 'two'],
  ] as const) {
    const { jobId } = await producer.enqueueIndex({ tenant, corpus: 'docs', document: documentOf('one', 'Text.') });
    expect(await installation.end(jobId)).toBe('done');
  }
  await using operator = await createOperator(installation.settings);
  const status = await eventually(async () => {
    const now = await operator.status();
    return now.keys === 4 ? now : undefined;
  });
  expect(status.kmsCalls).toEqual({ GenerateDataKey: 2, Decrypt: 2 });
  expect(status.processes.map(({ role }) => role).sort()).toEqual(['producer', 'producer', 'reader', 'worker']);
  expect(status.processes.find(({ role }) => role === 'worker')?.tenants.toSorted()).toEqual(['one', 'two']);
  await worker.stop();
  expect((await operator.status()).processes.map(({ role }) => role)).not.toContain('worker');
});
