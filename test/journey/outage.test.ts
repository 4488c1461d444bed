// Outages of some seconds: of Redis, S3 and KMS, in the middle of the work. No job is lost, dead, or poorer by an attempt.
import { expect, test } from 'vitest';
import { KMS_ERRORS, S3_ERRORS } from '@sealdex/local-aws';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openHouse, squeezed, textOf, type House } from './installation.ts';
import { documentOf } from '../support/documents.ts';
import { keptRedis } from './kept-redis.ts';
import { startWorkerChild, type WorkerChild } from './worker-child.ts';

const JOBS = 200;

async function enqueue({ producer }: House, count: number): Promise<void> {
  const results = await producer.enqueueIndexBulk(
    Array.from({ length: count }, (_, index) => ({
      tenant: 'acme',
      corpus: 'docs',
      document: documentOf(`document ${index}`, `Text of document ${index}. `.repeat(index % 10 === 0 ? 300 : 1)),
    })),
  );
  expect(results.filter((result) => 'status' in result).length).toBe(count);
}

const stored = ({ services }: House): number => services.s3.requests.count({ method: 'PUT', prefix: 'documents/' });

async function readiness(worker: WorkerChild): Promise<string> {
  return (await (await fetch(`http://127.0.0.1:${await worker.ready}/readyz`)).text()).trim();
}

/** All are stored, none is dead, and no fault was counted that spends an attempt. */
async function expectAllDone(house: House, worker: WorkerChild, count: number): Promise<void> {
  await house.empty();
  expect((await house.operator.status()).index.dead).toBe(0);
  // A reader that could not look at the gates for 5 s refuses until its next look.
  await eventually(() => textOf(house.reader, 'acme', 'docs', 'document 0'));
  for (let index = 0; index < count; index += 1) {
    const text = await textOf(house.reader, 'acme', 'docs', `document ${index}`);
    expect(text).toContain(squeezed(`Text of document ${index}.`));
  }
  const faults = Object.keys(await metricsOf(await worker.ready, 'sealdex_job_failures_total'));
  expect(faults.filter((line) => !/code="(REDIS|STORE|KMS)_FAILED"/.test(line))).toEqual([]);
}

test('a Redis that is restarted after seconds, and one that freezes, lose no job of 200', async () => {
  await using kept = await keptRedis();
  await using house = await openHouse({ REDIS_URL: kept.redis.url, SEALDEX_CONCURRENCY: 8 });
  await house.tenant('acme');
  await enqueue(house, JOBS);
  house.services.s3.faults.set({ match: { method: 'PUT', prefix: 'documents/' }, fault: { kind: 'latency', ms: 25 } });
  await using worker = await startWorkerChild(house.settings);
  await eventually(() => stored(house) >= 50);
  await kept.redis.stop();
  await eventually(async () => (await readiness(worker)) === 'not ready: REDIS_FAILED');
  await eventually(() => worker.log().some(({ msg }) => msg === 'the queue reports an error'));
  await kept.again();
  await eventually(() => stored(house) >= 120);
  process.kill(kept.redis.pid, 'SIGSTOP');
  // A ping that is not answered takes a second: three in a row are an outage of as many.
  for (let looks = 0; looks < 3; looks += 1) expect(await readiness(worker)).toBe('not ready: REDIS_FAILED');
  process.kill(kept.redis.pid, 'SIGCONT');
  await expectAllDone(house, worker, JOBS);
  expect(await readiness(worker)).toBe('ready');
  // Thousands of failed commands and reconnections are a few lines.
  expect(worker.log().filter(({ msg }) => msg === 'the queue reports an error').length).toBeLessThan(20);
  expect(worker.stderr()).toBe('');
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
});

test('an outage of S3 and KMS delays jobs without spending their attempts', async () => {
  await using house = await openHouse();
  await house.tenant('acme');
  await enqueue(house, 60);
  const { s3, kms } = house.services;
  kms.faults.set({ fault: KMS_ERRORS.internal });
  await using worker = await startWorkerChild(house.settings);
  await worker.ready;
  const delayed = async (): Promise<number> => (await house.operator.status()).index.delayed;
  await eventually(async () => (await delayed()) >= 50);
  const down = s3.faults.set({ fault: S3_ERRORS.internal });
  kms.faults.clear();
  await eventually(() => down.met >= 100);
  const waiting = await house.queue.getJobs(['delayed', 'prioritized', 'active'], 0, 100);
  expect(waiting.length).toBe(60);
  expect(waiting.filter(({ attemptsMade }) => attemptsMade > 0)).toEqual([]);
  s3.faults.clear();
  await expectAllDone(house, worker, 60);
});
