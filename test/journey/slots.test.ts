// A tenant with a hanging KMS key uses a quarter of a worker's slots, and jobs of others continue.
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { unwrapped } from '../cli/output.ts';
import { run } from '../cli/run.ts';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

test('jobs of a hanging key free their slots for others without spending an attempt, and finish when it responds', async () => {
  await using installation = await openInstallation({ SEALDEX_CONCURRENCY: 4 });
  const key = await installation.tenant('slow');
  await installation.tenant('quick');
  const enqueue = async (tenant: string, jobs: number): Promise<string[]> => {
    const results = await Promise.all(
      Array.from({ length: jobs }, (_, at) =>
        installation.producer.enqueueIndex({ tenant, corpus: 'docs', document: documentOf(`doc ${at}`, 'Text.') }),
      ),
    );
    return results.map(({ jobId }) => jobId);
  };
  const slow = await enqueue('slow', 8);
  const quick = await enqueue('quick', 4);
  const hang = installation.services.kms.faults.set({ match: { key }, fault: { kind: 'hang' } });
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  for (const job of quick) expect(await installation.end(job)).toBe('done');
  const deferred = async (): Promise<string[]> => {
    const states = await Promise.all(slow.map(async (job) => ({ job, ...(await installation.producer.status(job)) })));
    return states
      .filter(({ state, code }) => state === 'retrying' && code === 'TENANT_SLOTS_FULL')
      .map(({ job }) => job);
  };
  // One holds a slot all the time and gets KMS_FAILED.
  await eventually(async () => (await deferred()).length >= 3);
  for (const job of slow) expect((await installation.queue.getJob(job))?.attemptsMade).toBe(0);
  // Without a worker a deferred job stays where it is.
  await worker.stop();
  const [job = 'none'] = await deferred();
  const shown = await run(['jobs', 'show', job], { settings: installation.settings });
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(unwrapped(shown.stdout)).toMatch(/^state +retrying\ncode +TENANT_SLOTS_FULL: too many .*; no action needed/m);
  hang.clear();
  await using _other = await startWorker(installation.settings, { host: '127.0.0.1' });
  for (const job of slow) expect(await installation.end(job)).toBe('done');
});

test('a tenant with a cached data key is served while KMS hangs for jobs of twelve other tenants', async () => {
  await using installation = await openInstallation({ SEALDEX_CONCURRENCY: 4 });
  const { services, producer } = installation;
  const enqueue = async (tenant: string): Promise<string> =>
    (await producer.enqueueIndex({ tenant, corpus: 'docs', document: documentOf('doc', 'Text.') })).jobId;
  await installation.tenant('cached');
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  expect(await installation.end(await enqueue('cached'))).toBe('done');
  const others = Array.from({ length: 12 }, (_, at) => `other-${at}`);
  const keys = await Promise.all(others.map((tenant) => installation.tenant(tenant)));
  // Producers create data keys with GenerateDataKey; the worker decrypts them.
  const hangs = keys.map((key) =>
    services.kms.faults.set({ match: { key, operation: 'Decrypt' }, fault: { kind: 'hang' } }),
  );
  const waiting = await Promise.all(others.map(enqueue));
  await eventually(() => hangs.reduce((sum, hang) => sum + hang.waiting, 0) === 4);
  for (let job = 0; job < 8; job += 1) expect(await installation.end(await enqueue('cached'))).toBe('done');
  // No call has timed out, so the jobs of the others did not end to make room.
  expect(await metricsOf(worker.port, 'sealdex_job_failures_total')).toEqual({});
  const codes = await Promise.all(waiting.map(async (job) => (await producer.status(job)).code));
  expect(codes.filter((code) => code === 'KMS_SLOTS_FULL').length).toBeGreaterThan(0);
  for (const job of waiting) expect((await installation.queue.getJob(job))?.attemptsMade).toBe(0);
  for (const hang of hangs) hang.clear();
  for (const job of waiting) expect(await installation.end(job)).toBe('done');
});
