// Updates of one document end as the last one, regardless of the processing order.
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { S3_ERRORS, KMS_ERRORS } from '@sealdex/local-aws';
import { metricsOf, openInstallation, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

/** Enqueues A, B and A again for one document; returns the three job ids in that order. */
async function update(installation: Installation, id: string): Promise<string[]> {
  const jobs: string[] = [];
  for (const text of ['Text A.', 'Text B.', 'Text A, again.']) {
    const document = documentOf(id, text);
    jobs.push((await installation.producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document })).jobId);
  }
  return jobs;
}

async function counted(port: number): Promise<{ done: number; superseded: number }> {
  const counts = await metricsOf(port, 'sealdex_jobs_total');
  const of = (outcome: string): number => counts[`sealdex_jobs_total{kind="index",outcome="${outcome}"}`] ?? 0;
  return { done: of('done'), superseded: of('superseded') };
}

const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

test('revisions A, B, A in any order end as A, and late ones are counted as superseded', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  const expected = new Map<string, string>();
  for (const [document, order] of ORDERS.entries()) {
    const jobs = await update(installation, `document ${document}`);
    let highest = -1;
    for (const [place, index] of order.entries()) {
      const jobId = jobs[index] ?? '';
      await (await installation.queue.getJob(jobId))?.changePriority({ priority: 10 + place });
      expected.set(jobId, index > highest ? 'done' : 'superseded');
      highest = Math.max(highest, index);
    }
  }
  await using worker = await startWorker({ ...installation.settings, SEALDEX_CONCURRENCY: 1 }, { host: '127.0.0.1' });
  await installation.empty();
  const ended = await Promise.all([...expected.keys()].map(async (id) => [id, await installation.end(id)] as const));
  expect(new Map(ended)).toEqual(expected);
  for (const document of ORDERS.keys()) {
    expect(await textOf(installation.reader, 'acme', 'docs', `document ${document}`)).toContain('TextA,again.');
  }
  expect(await counted(worker.port)).toEqual({ done: 11, superseded: 7 });
});

test('revisions A, B, A in three workers, with rejected and lost responses in between, end as A', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  const { s3, kms } = installation.services;
  const documents = Array.from({ length: 40 }, (_, index) => `document ${index}`);
  for (const id of documents) await update(installation, id);
  s3.faults.set({ match: { prefix: 'documents/', method: 'PUT' }, fault: S3_ERRORS.conflict, times: 20 });
  s3.faults.set({ match: { prefix: 'documents/', method: 'PUT' }, fault: { kind: 'lostResponse' }, times: 20 });
  s3.faults.set({ match: { prefix: 'documents/', method: 'PUT' }, fault: S3_ERRORS.slowDown, times: 20 });
  s3.faults.set({ match: { prefix: 'documents/', method: 'HEAD' }, fault: S3_ERRORS.internal, times: 10 });
  kms.faults.set({ fault: KMS_ERRORS.throttled, times: 5 });
  await using workers = new AsyncDisposableStack();
  const ports: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    const worker = workers.use(await startWorker(installation.settings, { host: '127.0.0.1' }));
    ports.push(worker.port);
  }
  await installation.empty();
  for (const id of documents) expect(await textOf(installation.reader, 'acme', 'docs', id)).toContain('TextA,again.');
  const counts = await Promise.all(ports.map(counted));
  const ended = counts.reduce((sum, { done, superseded }) => sum + done + superseded, 0);
  expect({ ended, dead: (await installation.operator.status()).index.dead }).toEqual({ ended: 120, dead: 0 });
});
