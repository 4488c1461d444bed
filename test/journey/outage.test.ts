// Outages of some seconds: of Redis, S3 and KMS, during the work. No job is lost or dead or has spent an attempt.
import { expect, test } from 'vitest';
import { KMS_ERRORS, S3_ERRORS } from '@sealdex/local-aws';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation, squeezed, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';
import { keptRedis } from './kept-redis.ts';
import { startWorkerChild, type WorkerChild } from './worker-child.ts';

const JOBS = 200;

async function enqueue({ producer }: Installation, count: number): Promise<void> {
  const results = await producer.enqueueIndexBulk(
    Array.from({ length: count }, (_, index) => ({
      tenant: 'acme',
      corpus: 'docs',
      document: documentOf(`document ${index}`, `Text of document ${index}. `.repeat(index % 10 === 0 ? 300 : 1)),
    })),
  );
  expect(results.filter((result) => 'status' in result).length).toBe(count);
}

const stored = ({ services }: Installation): number =>
  services.s3.requests.count({ method: 'PUT', prefix: 'documents/' });

async function readiness(worker: WorkerChild): Promise<string> {
  return (await (await fetch(`http://127.0.0.1:${await worker.ready}/readyz`)).text()).trim();
}

/** All are stored, none is dead, and no failure was counted that spends an attempt. */
async function expectAllDone(installation: Installation, worker: WorkerChild, count: number): Promise<void> {
  await installation.empty();
  expect((await installation.operator.status()).index.dead).toBe(0);
  // A reader without a read of the gates for 5 s rejects until the next one.
  await eventually(() => textOf(installation.reader, 'acme', 'docs', 'document 0'));
  for (let index = 0; index < count; index += 1) {
    const text = await textOf(installation.reader, 'acme', 'docs', `document ${index}`);
    expect(text).toContain(squeezed(`Text of document ${index}.`));
  }
  const faults = Object.keys(await metricsOf(await worker.ready, 'sealdex_job_failures_total'));
  // A gate unread for 5 s is unknown: a longer outage of Redis has that code too.
  expect(faults.filter((line) => !/code="((REDIS|STORE|KMS)_FAILED|GATE_UNKNOWN)"/.test(line))).toEqual([]);
}

test('a Redis restarted after seconds, and a frozen one, lose no job of 200', async () => {
  await using kept = await keptRedis();
  await using installation = await openInstallation({ REDIS_URL: kept.redis.url, SEALDEX_CONCURRENCY: 8 });
  await installation.tenant('acme');
  await enqueue(installation, JOBS);
  installation.services.s3.faults.set({
    match: { method: 'PUT', prefix: 'documents/' },
    fault: { kind: 'latency', ms: 25 },
  });
  await using worker = await startWorkerChild(installation.settings);
  await eventually(() => stored(installation) >= 50);
  await kept.redis.stop();
  await eventually(async () => (await readiness(worker)) === 'not ready: REDIS_FAILED');
  await eventually(() => worker.log().some(({ msg }) => msg === 'queue error'));
  await kept.again();
  await eventually(() => stored(installation) >= 120);
  process.kill(kept.redis.pid, 'SIGSTOP');
  // A ping without a response takes a second: three in a row are an outage of three seconds.
  for (let round = 0; round < 3; round += 1) expect(await readiness(worker)).toBe('not ready: REDIS_FAILED');
  process.kill(kept.redis.pid, 'SIGCONT');
  await expectAllDone(installation, worker, JOBS);
  expect(await readiness(worker)).toBe('ready');
  // Thousands of failed commands and reconnections are logged in a few lines.
  expect(worker.log().filter(({ msg }) => msg === 'queue error').length).toBeLessThan(20);
  expect(worker.stderr()).toBe('');
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});

test('a Redis that rejects writes as a replica delays jobs, and the worker prints no warning', async () => {
  await using kept = await keptRedis();
  await using installation = await openInstallation({ REDIS_URL: kept.redis.url });
  await installation.tenant('acme');
  await enqueue(installation, JOBS);
  const { redis } = installation;
  const rejected = async (): Promise<number> =>
    Number(/errorstat_READONLY:count=(\d+)/.exec(await redis.info('errorstats'))?.[1] ?? 0);
  installation.services.s3.faults.set({
    match: { method: 'PUT', prefix: 'documents/' },
    fault: { kind: 'latency', ms: 25 },
  });
  await using worker = await startWorkerChild(installation.settings);
  await eventually(() => stored(installation) >= 50);
  await redis.replicaof('127.0.0.1', 1);
  await eventually(async () => (await rejected()) > 200);
  await redis.call('REPLICAOF', 'NO', 'ONE');
  await expectAllDone(installation, worker, JOBS);
  expect(worker.stderr()).toBe('');
});

test('an outage of S3 and KMS delays jobs without spending their attempts', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  await enqueue(installation, 60);
  const { s3, kms } = installation.services;
  kms.faults.set({ fault: KMS_ERRORS.internal });
  await using worker = await startWorkerChild(installation.settings);
  await worker.ready;
  const delayed = async (): Promise<number> => (await installation.operator.status()).index.delayed;
  await eventually(async () => (await delayed()) >= 50);
  const down = s3.faults.set({ fault: S3_ERRORS.internal });
  kms.faults.clear();
  await eventually(() => down.met >= 100);
  const waiting = await installation.queue.getJobs(['delayed', 'prioritized', 'active'], 0, 100);
  expect(waiting.length).toBe(60);
  expect(waiting.filter(({ attemptsMade }) => attemptsMade > 0)).toEqual([]);
  s3.faults.clear();
  await expectAllDone(installation, worker, 60);
});
