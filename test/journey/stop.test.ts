// A worker process after SIGTERM: it drains, hands back unfinished jobs, and exits before its deadline.
import { expect, test } from 'vitest';
import { startRedis } from '@sealdex/local-aws';
import { isJobId } from '../../src/runtime/names.ts';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation, type Installation } from './installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';
import { startWorkerChild } from './worker-child.ts';

const WRITES = { method: 'PUT', prefix: 'documents/' } as const;
const CLEAN = { code: 0, signal: null };

async function enqueue({ producer }: Installation, count: number, text = 'Text.'): Promise<string[]> {
  const results = await producer.enqueueIndexBulk(
    Array.from({ length: count }, (_, index) => ({
      tenant: 'acme',
      corpus: 'docs',
      document: documentOf(`document ${index}`, text),
    })),
  );
  return results.map((result) => ('jobId' in result ? result.jobId : ''));
}

/** Attempts, stalls and state of jobs that are in the queue. */
async function spentBy(
  { queue, redis }: Installation,
  jobIds: readonly string[],
): Promise<(string | number | null)[][]> {
  return Promise.all(
    jobIds.map(async (id) => {
      const [attempts = null, stalls = null] = await redis.hmget(queue.toKey(id), 'atm', 'stc');
      return [await queue.getJobState(id), attempts, stalls];
    }),
  );
}

test('active jobs finish, no further ones start, and the process exits with 0', async () => {
  await using installation = await openInstallation({ SEALDEX_CONCURRENCY: 4 });
  await installation.tenant('acme');
  const jobs = await enqueue(installation, 12);
  const hang = installation.services.s3.faults.set({ match: WRITES, fault: { kind: 'hang' } });
  await using worker = await startWorkerChild(installation.settings);
  const port = await worker.ready;
  await eventually(() => hang.waiting === 4);
  worker.kill('SIGTERM');
  await eventually(async () => (await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).includes('stopping'));
  hang.clear();
  expect(await worker.exited).toEqual(CLEAN);
  expect(worker.ended()).toEqual({ handedBack: 0, isClean: true });
  const states = await Promise.all(jobs.map(async (id) => (await installation.producer.status(id)).state));
  expect(states.filter((state) => state === 'done').length).toBe(4);
  expect(states.filter((state) => state === 'queued').length).toBe(8);
});

test('an unfinished job is handed back without an attempt or a stall, and another worker finishes it', async () => {
  await using installation = await openInstallation({
    SEALDEX_CONCURRENCY: 8,
    SEALDEX_DRAIN_MS: 200,
    SEALDEX_STOP_MS: 20_000,
  });
  await installation.tenant('acme');
  const jobs = await enqueue(installation, 8, 'Too large for the queue. '.repeat(400));
  const hang = installation.services.s3.faults.set({ match: WRITES, fault: { kind: 'hang' } });
  await using worker = await startWorkerChild(installation.settings);
  await eventually(() => hang.waiting === 8);
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual(CLEAN);
  expect(worker.ended()).toEqual({ handedBack: 8, isClean: true });
  expect(await spentBy(installation, jobs)).toEqual(jobs.map(() => ['prioritized', null, null]));
  expect((await keysUnder(installation.store, 'intake/')).length).toBe(8);
  hang.clear();
  await using other = await startWorkerChild(installation.settings);
  await installation.empty();
  expect(await Promise.all(jobs.map((id) => installation.end(id)))).toEqual(jobs.map(() => 'done'));
  const counts = await metricsOf(await other.ready, 'sealdex_jobs_total');
  expect(counts).toEqual({ 'sealdex_jobs_total{kind="index",outcome="done"}': 8 });
  expect(await eventually(async () => (await keysUnder(installation.store, 'intake/')).length === 0)).toBe(true);
});

test('a second SIGTERM changes nothing', async () => {
  await using installation = await openInstallation({ SEALDEX_DRAIN_MS: 200 });
  await installation.tenant('acme');
  const jobs = await enqueue(installation, 2);
  const hang = installation.services.s3.faults.set({ match: WRITES, fault: { kind: 'hang' } });
  await using worker = await startWorkerChild(installation.settings);
  await eventually(() => hang.waiting === 2);
  worker.kill('SIGTERM');
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual(CLEAN);
  expect(await spentBy(installation, jobs)).toEqual(jobs.map(() => ['prioritized', null, null]));
});

test('SIGTERM during startup stops the process as soon as it has started', async () => {
  await using installation = await openInstallation();
  await using worker = await startWorkerChild(installation.settings);
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual(CLEAN);
});

test('SIGTERM during a pause leaves the paused jobs to other workers', async () => {
  await using installation = await openInstallation();
  const { kms } = installation.services;
  await installation.operator.putTenant('acme', { plan: 'free' });
  const jobs = await enqueue(installation, 3);
  kms.disable(String(installation.settings.SEALDEX_PLATFORM_KEY_ARN));
  await using worker = await startWorkerChild(installation.settings);
  const port = await worker.ready;
  await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 503);
  await eventually(async () => (await installation.operator.status()).index.active === 0);
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual(CLEAN);
  const spent = await spentBy(installation, jobs);
  expect(spent.map(([, attempts, stalls]) => [attempts, stalls])).toEqual(jobs.map(() => [null, null]));
  expect(jobs.filter(isJobId).length).toBe(3);
});

test('a frozen Redis delays the stop no longer than SEALDEX_STOP_MS', async () => {
  await using redis = await ownRedis();
  await using installation = await openInstallation({
    REDIS_URL: redis.url,
    SEALDEX_DRAIN_MS: 300,
    SEALDEX_STOP_MS: 2000,
  });
  await installation.tenant('acme');
  await enqueue(installation, 4);
  const hang = installation.services.s3.faults.set({ match: WRITES, fault: { kind: 'hang' } });
  await using worker = await startWorkerChild(installation.settings);
  await eventually(() => hang.waiting === 4);
  process.kill(redis.pid, 'SIGSTOP');
  try {
    const begun = performance.now();
    worker.kill('SIGTERM');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    // Far longer than that for a busy machine; a wait for Redis would take 10 s or forever.
    expect(performance.now() - begun).toBeLessThan(7000);
  } finally {
    process.kill(redis.pid, 'SIGCONT');
  }
});

test('a hanging S3 delays the stop no longer than SEALDEX_STOP_MS, and the jobs are handed back', async () => {
  await using installation = await openInstallation({ SEALDEX_DRAIN_MS: 300, SEALDEX_STOP_MS: 3000 });
  await installation.tenant('acme');
  const removal = installation.services.s3.faults.set({
    match: { method: 'DELETE', prefix: 'intake/' },
    fault: { kind: 'hang' },
  });
  await using worker = await startWorkerChild(installation.settings);
  await enqueue(installation, 1, 'Too large for the queue. '.repeat(400));
  await eventually(() => removal.waiting === 1);
  const hang = installation.services.s3.faults.set({ fault: { kind: 'hang' }, match: { prefix: 'documents/' } });
  const jobs = await enqueue(installation, 4);
  await eventually(() => hang.waiting === 4);
  const begun = performance.now();
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual(CLEAN);
  // Far longer than that for a busy machine; a wait for S3 would take 10 s or forever.
  expect(performance.now() - begun).toBeLessThan(8000);
  expect(worker.ended()).toEqual({ handedBack: 4, isClean: true });
  expect(await spentBy(installation, jobs)).toEqual(jobs.map(() => ['prioritized', null, null]));
});

async function ownRedis(): Promise<AsyncDisposable & { url: string; pid: number }> {
  const redis = await startRedis();
  return { url: redis.url, pid: redis.pid, [Symbol.asyncDispose]: () => redis.stop() };
}
