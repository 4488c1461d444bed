// An hour without Redis: no job is lost or dead or has spent an attempt, and no tenant's gate changes. Sealdex uses a fake
// clock, and expiring keys in Redis are aged as much. BullMQ's own timers (locks, stalled jobs, reconnections) and the
// deadlines of single calls run in real time: for them it is an outage of seconds.
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import type { Gate } from '../../src/parking/gate-record.ts';
import { readGate } from '../../src/parking/gate-storage.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { AheadClock } from '../support/ahead-clock.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation, squeezed, textOf, type Installation } from '../journey/installation.ts';
import { documentOf } from '../support/documents.ts';
import { keptRedis } from '../journey/kept-redis.ts';

const MINUTE_MS = 60_000;

/** The document of each job. */
type Sent = Map<string, { readonly tenant: string; readonly id: string }>;

async function enqueue({ producer }: Installation, sent: Sent, tenant: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const document = documentOf(id, `Text of ${id}.`);
    sent.set((await producer.enqueueIndex({ tenant, corpus: 'docs', document })).jobId, { tenant, id });
  }
}

const page = async (port: number, path: string): Promise<string> =>
  (await (await fetch(`http://127.0.0.1:${port}${path}`)).text()).trim();

const keysOf = ({ settings }: Installation) => queueKeys(redisKeys(String(settings.SEALDEX_QUEUE)), 'index');

const gateOf = (installation: Installation, id: string): Promise<Gate> =>
  readGate(installation.redis, keysOf(installation), id);

const parked = (installation: Installation, gate: string): Promise<number> =>
  installation.redis.zcard(keysOf(installation).parked(gate));

/** Fields of a shut gate that no probe changes; each probe raises the epoch by one. */
const unprobed = ({ epoch, record }: Gate): object => {
  const { probes = 0, goodProbes: _good, nextProbe: _next, requestId: _request, ...rest } = record ?? {};
  return { ...rest, epoch: epoch - probes };
};

/**
 * Active jobs: two with their document on its way to S3, and two waiting for KMS. Returns a function that completes these
 * calls.
 */
async function activeJobs(installation: Installation, sent: Sent, globexArn: string): Promise<() => void> {
  const { s3, kms } = installation.services;
  const storing = s3.faults.set({ match: { method: 'PUT', prefix: 'documents/acme/' }, fault: { kind: 'hang' } });
  const calling = kms.faults.set({ match: { key: globexArn, operation: 'Decrypt' }, fault: { kind: 'hang' } });
  await enqueue(installation, sent, 'acme', ['storing 1', 'storing 2']);
  await enqueue(installation, sent, 'globex', ['asking 1', 'asking 2']);
  await eventually(async () => {
    const { active } = (await installation.operator.status()).index;
    return active === 4 && storing.waiting === 2 && calling.waiting === 1;
  });
  return () => {
    storing.clear();
    calling.clear();
  };
}

/** The worker's failures by code, with their counts. */
async function faults(port: number): Promise<Map<string, number>> {
  const met = new Map<string, number>();
  for (const [line, count] of Object.entries(await metricsOf(port, 'sealdex_job_failures_total'))) {
    const code = /code="(\w+)"/.exec(line)?.[1] ?? '';
    met.set(code, (met.get(code) ?? 0) + count);
  }
  return met;
}

/** Every minute runs its due tasks; the process lives all the time, and reports that it is not ready. */
async function anHourPasses(clock: AheadClock, port: number): Promise<void> {
  for (let tenth = 1; tenth <= 10; tenth += 1) {
    for (let minute = 1; minute <= 6; minute += 1) {
      clock.advance(MINUTE_MS);
      expect(await page(port, '/livez')).toBe('alive');
    }
    // A ping without a response takes a second.
    expect(await page(port, '/readyz')).toBe('not ready: REDIS_FAILED (gates shut: 1)');
  }
}

/** Jobs delayed by the worker's clock are promoted here when they are due, since BullMQ uses real time. */
async function bringBack({ queue }: Installation, except: string): Promise<void> {
  const due = (await queue.getDelayed(0, 100)).filter(({ data }) => (data as { tenant: string }).tenant !== except);
  await Promise.allSettled(due.map((job) => job.promote()));
}

test('an hour without Redis loses no job and no attempt, and leaves open gates open and shut ones shut', async () => {
  using _real = realDeadlines({ promptMs: 40_000 });
  await using kept = await keptRedis();
  await using installation = await openInstallation({ REDIS_URL: kept.redis.url, SEALDEX_CONCURRENCY: 8 });
  const { kms } = installation.services;
  await installation.tenant('acme');
  const globexArn = await installation.tenant('globex');
  const shutArn = await installation.tenant('initech');
  const gate = gateId(keyRef('initech', shutArn));
  const clock = new AheadClock();
  const options = { host: '127.0.0.1', clock, afterStall: () => 0 } as const;
  await using worker = await startWorker(installation.settings, options);
  const { port } = worker;
  const sent: Sent = new Map();
  const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);
  kms.disable(shutArn);
  await enqueue(installation, sent, 'initech', numbers(5));
  await eventually(async () => (await parked(installation, gate)) === 5);
  const answer = await activeJobs(installation, sent, globexArn);
  await installation.queue.pause();
  for (const tenant of ['acme', 'globex']) await enqueue(installation, sent, tenant, numbers(10));
  const shut = unprobed(await gateOf(installation, gate));
  const calls = kms.counts.count({ key: shutArn });

  await kept.redis.stop();
  await eventually(async () => (await page(port, '/readyz')) === 'not ready: REDIS_FAILED (gates shut: 1)');
  answer();
  // A hanging job would reach its own deadline when the clock advances: these have stored, and wait for Redis.
  await eventually(async () => ((await faults(port)).get('REDIS_FAILED') ?? 0) >= 2);
  await anHourPasses(clock, port);
  expect(kms.counts.count({ key: shutArn })).toBe(calls);
  await kept.age(60 * MINUTE_MS);
  await kept.again();

  await eventually(async () => (await page(port, '/readyz')) === 'ready (gates shut: 1)');
  // The locks of active jobs have expired: they return as stalled ones. No other job is taken yet.
  await eventually(async () => (await installation.operator.status()).index.active === 0);
  const waiting = await installation.queue.getJobs(['delayed', 'prioritized', 'active', 'wait'], 0, 1000);
  expect(new Set(waiting.map(({ id }) => id))).toEqual(new Set(sent.keys()));
  expect(waiting.filter(({ attemptsMade }) => attemptsMade > 0)).toEqual([]);
  await installation.queue.resume();
  await eventually(async () => {
    await bringBack(installation, 'initech');
    const { waiting: left, active, delayed } = (await installation.operator.status()).index;
    return left + active === 0 && delayed === 5;
  });
  expect(await parked(installation, gate)).toBe(5);
  expect(unprobed(await gateOf(installation, gate))).toEqual(shut);
  expect(await installation.redis.hkeys(keysOf(installation).gates)).toEqual([gate]);

  kms.enable(shutArn);
  await eventually(async () => {
    const state = (await gateOf(installation, gate)).record?.state;
    if (state === 'shut') clock.advance(2000);
    return state === 'open';
  });
  for (const [job, { tenant, id }] of sent) {
    expect(await installation.end(job)).toBe('done');
    expect(await textOf(installation.reader, tenant, 'docs', id)).toContain(squeezed(`Text of ${id}.`));
  }
  expect((await installation.operator.status()).index).toMatchObject({ waiting: 0, active: 0, delayed: 0, dead: 0 });
  const spendNone = new Set(['KEY_DISABLED', 'REDIS_FAILED', 'GATE_UNKNOWN']);
  expect([...(await faults(port)).keys()].filter((code) => !spendNone.has(code))).toEqual([]);
  expect(await page(port, '/readyz')).toBe('ready');
});
