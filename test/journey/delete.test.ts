// Deletion, from the producer's call to a reader's view: with late and replayed jobs, and while the key is shut.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { newJobId, type DeleteJobData } from '../../src/jobs/jobs.ts';
import { objectName } from '../../src/runtime/names.ts';
import { openInstallationRunner, type InstallationRunner } from './job-runner.ts';
import { textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const opened = new AsyncDisposableStack();
let runner: InstallationRunner;
let installation: Installation;
let keyArn: string;
let tenants = 0;
let tenant: string;

beforeAll(async () => {
  runner = opened.use(await openInstallationRunner());
  installation = runner.installation;
});
afterAll(() => opened.disposeAsync());
beforeEach(async () => {
  tenant = `tenant-${tenants++}`;
  keyArn = await installation.tenant(tenant);
});

const read = (id: string) =>
  textOf(installation.reader, tenant, 'docs', id).catch((error: unknown) => (error as { code?: string }).code);

/** A job for the document `one`, passed to the handler directly. */
async function indexJob(revision: number, ifExists: 'replace' | 'reject' = 'replace') {
  const header = { documentId: 'one', ifExists, revision };
  const body = JSON.stringify(documentOf('one', `Text of ${revision}.`));
  const { id, data } = await runner.forge({ tenant, keyArn, header, body });
  return { id, data: { ...data, revision } };
}

function deleteJob(revision: number): { id: string; data: DeleteJobData } {
  const object = objectName('one');
  return { id: newJobId(), data: { v: 1, kind: 'delete', tenant, corpus: 'docs', revision, object } };
}

const DONE = { kind: 'done' };
const SUPERSEDED = { kind: 'done', superseded: true };

describe('a delete job', () => {
  test('removes a document for readers, and lists show it as deleted', async () => {
    await using _worker = await startWorker({ ...installation.settings, SEALDEX_LOG_LEVEL: 'silent' });
    const first = await installation.producer.enqueueIndex({
      tenant,
      corpus: 'docs',
      document: documentOf('a', 'Words.'),
    });
    expect(await installation.end(first.jobId)).toBe('done');
    const { jobId, revision } = await installation.producer.enqueueDelete({ tenant, corpus: 'docs', id: 'a' });
    expect(await installation.end(jobId)).toBe('done');
    expect(await read('a')).toBe('NOT_FOUND');
    const { documents } = await installation.reader.list({ tenant, corpus: 'docs', metadata: true });
    expect(documents).toEqual([
      { object: objectName('a'), revision, bytes: expect.any(Number) as number, isDeleted: true },
    ]);
    const again = await installation.producer.enqueueIndex({
      tenant,
      corpus: 'docs',
      document: documentOf('a', 'New.'),
    });
    expect(await installation.end(again.jobId)).toBe('done');
    expect(await read('a')).toContain('New.');
  });

  test('is enqueued and done while the KMS key is disabled, without a KMS call', async () => {
    await using _worker = await startWorker({ ...installation.settings, SEALDEX_LOG_LEVEL: 'silent' });
    const first = await installation.producer.enqueueIndex({
      tenant,
      corpus: 'docs',
      document: documentOf('a', 'Words.'),
    });
    expect(await installation.end(first.jobId)).toBe('done');
    installation.services.kms.disable(keyArn);
    const before = installation.services.kms.counts.all();
    const { jobId } = await installation.producer.enqueueDelete({ tenant, corpus: 'docs', id: 'a' });
    expect(await installation.end(jobId)).toBe('done');
    expect(installation.services.kms.counts.all()).toEqual(before);
    expect(await read('a')).toBe('NOT_FOUND');
  });

  test('for a missing document still writes a tombstone, which an older job finds', async () => {
    expect(await runner.handle(deleteJob(20))).toEqual(DONE);
    expect(await runner.handle(await indexJob(10))).toEqual(SUPERSEDED);
    expect(await read('one')).toBe('NOT_FOUND');
  });

  test('wins over older index jobs and gives way to newer ones, regardless of order, repetition or replay', async () => {
    const jobs = [await indexJob(10), deleteJob(20), await indexJob(30), deleteJob(40)];
    const orders = [
      [3, 2, 1, 0],
      [0, 1, 0, 1],
      [1, 0, 2, 0, 1],
      [2, 3, 2, 1, 0, 3],
    ];
    for (const order of orders) {
      await runner.deps.store.remove(`documents/${tenant}/docs/${objectName('one')}`);
      let highest = -1;
      for (const at of order) {
        expect(await runner.handle(jobs[at]!)).toEqual(at >= highest ? DONE : SUPERSEDED);
        highest = Math.max(highest, at);
      }
      const expected = highest === 2 ? 'Textof30.' : 'NOT_FOUND';
      expect(await read('one')).toContain(expected);
    }
  });

  test('makes a document with ifExists: reject possible again', async () => {
    expect(await runner.handle(await indexJob(10))).toEqual(DONE);
    expect(await runner.handle(deleteJob(20))).toEqual(DONE);
    expect(await runner.handle(await indexJob(30, 'reject'))).toEqual(DONE);
    expect(await runner.handle(await indexJob(40, 'reject'))).toEqual({ kind: 'dead', code: 'DOCUMENT_CONFLICT' });
  });

  test('for an unknown tenant becomes a dead letter', async () => {
    const { id, data } = deleteJob(1);
    const outcome = await runner.handle({ id, data: { ...data, tenant: 'nobody' } });
    expect(outcome).toEqual({ kind: 'dead', code: 'TENANT_UNKNOWN' });
  });

  test('is counted under its own kind', async () => {
    await runner.handle(deleteJob(1));
    expect(await runner.deps.metrics.text()).toContain('sealdex_jobs_total{kind="delete",outcome="done"}');
  });
});
