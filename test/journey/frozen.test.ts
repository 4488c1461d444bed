// Workers that freeze or die between storing a document and reporting it: the job runs once more without harm.
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation, textOf, type Installation } from './installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';
import { startWorkerChild, type WorkerChild } from './worker-child.ts';

const WRITES = { method: 'PUT', prefix: 'documents/' } as const;
/** A job returned after a stall waits for the shortest time. */
const QUICK = { host: '127.0.0.1', afterStall: () => 0 } as const;
const LARGE = 'Too large for the queue. '.repeat(400);

const enqueue = async ({ producer }: Installation, id: string, text: string): Promise<string> =>
  (await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf(id, text) })).jobId;

/** A worker process frozen after S3 has received its writes of these documents, before the responses. */
async function frozenIn(
  installation: Installation,
  writes: number,
): Promise<{ worker: WorkerChild; answer: () => void }> {
  const hang = installation.services.s3.faults.set({ match: WRITES, fault: { kind: 'hang' }, times: writes });
  const worker = await startWorkerChild(installation.settings);
  await eventually(() => hang.waiting === writes);
  worker.kill('SIGSTOP');
  return { worker, answer: () => hang.clear() };
}

/** As if the frozen worker's locks expired: other workers check for stalled jobs twice, also at their start. */
async function locksRunOut({ redis, queue, settings }: Installation, jobIds: readonly string[]): Promise<void> {
  const lastCheck = queue.toKey('stalled-check');
  await redis.del(...jobIds.map((id) => `${queue.toKey(id)}:lock`));
  for (let check = 0; check < 2; check += 1) {
    await redis.del(lastCheck);
    const worker = await startWorker({ ...settings, SEALDEX_DRAIN_MS: 10_000 }, QUICK);
    await eventually(async () => (await redis.exists(lastCheck)) === 1);
    await worker.stop();
  }
}

test('a worker killed between storing and completing leaves its content; the next one finishes by the equal revision', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  const jobId = await enqueue(installation, 'one', LARGE);
  const { worker, answer } = await frozenIn(installation, 1);
  await using _ = worker;
  answer();
  const [stored] = await eventually(async () => {
    const { objects } = await installation.store.list('documents/');
    return objects.length === 1 ? objects : undefined;
  });
  worker.kill('SIGKILL');
  await worker.exited;
  expect((await installation.producer.status(jobId)).state).toBe('active');
  expect((await keysUnder(installation.store, 'intake/')).length).toBe(1);
  await locksRunOut(installation, [jobId]);
  await using next = await startWorker(installation.settings, QUICK);
  expect(await installation.end(jobId)).toBe('done');
  expect((await installation.store.list('documents/')).objects).toEqual([stored]);
  expect(await eventually(async () => (await keysUnder(installation.store, 'intake/')).length === 0)).toBe(true);
  expect((await next.stop()).isClean).toBe(true);
});

test('a worker frozen longer than its locks does no harm when it continues', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  const jobs = [await enqueue(installation, 'same', LARGE), await enqueue(installation, 'updated', 'Text A.')];
  const { worker, answer } = await frozenIn(installation, 2);
  await using _ = worker;
  await locksRunOut(installation, jobs);
  await using other = await startWorker(installation.settings, QUICK);
  expect(await Promise.all(jobs.map((id) => installation.end(id)))).toEqual(['done', 'done']);
  const update = await enqueue(installation, 'updated', 'Text B.');
  expect(await installation.end(update)).toBe('done');
  const before = (await installation.store.list('documents/')).objects;
  const notes = await Promise.all([...jobs, update].map((id) => installation.producer.status(id)));

  answer();
  worker.kill('SIGCONT');
  const port = await worker.ready;
  // It has finished its jobs, and found that they belong to another worker now.
  await eventually(async () => (await metricsOf(port, 'sealdex_jobs_active'))['sealdex_jobs_active'] === 0);
  expect(await metricsOf(port, 'sealdex_jobs_total')).toEqual({
    'sealdex_jobs_total{kind="index",outcome="done"}': 1,
    'sealdex_jobs_total{kind="index",outcome="superseded"}': 1,
  });
  expect((await installation.store.list('documents/')).objects).toEqual(before);
  expect(await Promise.all([...jobs, update].map((id) => installation.producer.status(id)))).toEqual(notes);
  expect(await textOf(installation.reader, 'acme', 'docs', 'updated')).toContain('TextB.');
  expect((await installation.operator.status()).index).toMatchObject({ waiting: 0, active: 0, delayed: 0, dead: 0 });
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  expect((await other.stop()).isClean).toBe(true);
});
