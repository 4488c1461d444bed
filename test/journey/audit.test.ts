// The audit log of a running installation: the caller and the job of each call, the operator's changes, and documents while
// it cannot be written.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { openInstallation, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const opened = new AsyncDisposableStack();
let installation: Installation;

beforeAll(async () => {
  installation = opened.use(await openInstallation());
  opened.use(await startWorker(installation.settings));
});
afterAll(() => opened.disposeAsync());

interface Line {
  readonly tenant: string;
  readonly operation: string;
  readonly key?: string;
  readonly purpose?: string;
  readonly result: string;
  readonly job?: string;
  readonly activity?: string;
}

const linesOf = (tenant: string): Line[] =>
  readFileSync(installation.services.auditFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.tenant === tenant);

const enqueue = async (tenant: string, id: string): Promise<string> =>
  (await installation.producer.enqueueIndex({ tenant, corpus: 'docs', document: documentOf(id, `Text of ${id}.`) }))
    .jobId;

test('the audit log has a line for each data key requested for a document, with its job, and one when it is read', async () => {
  const key = await installation.tenant('acme');
  const job = await enqueue('acme', 'a secret id');
  expect(await installation.end(job)).toBe('done');
  await installation.reader.metadata({ tenant: 'acme', corpus: 'docs', id: 'a secret id' });
  const [made, ...calls] = linesOf('acme');
  expect(made).toMatchObject({ operation: 'PutTenant', key, settings: { plan: 'pro' }, result: 'ok' });
  expect(calls).toMatchObject([
    { operation: 'GenerateDataKey', key, purpose: 'documents', job },
    // The rings of worker and reader unwrap keys created by the producer.
    { operation: 'Decrypt', key, purpose: 'documents', job },
    { operation: 'Decrypt', key, purpose: 'documents', activity: 'read' },
  ]);
  expect(readFileSync(installation.services.auditFile, 'utf8')).not.toContain('a secret id');
});

test('the audit log has a line for each change of a tenant, without free text, also for a denied one', async () => {
  const key = await installation.tenant('globex');
  await installation.operator.pauseTenant('globex', 'between us');
  await installation.operator.resumeTenant('globex');
  await expect(installation.operator.putTenant('globex', { plan: 'free' })).rejects.toMatchObject({
    code: 'TENANT_KEY_INVALID',
  });
  await installation.operator.block('globex', key, 'between us');
  expect(linesOf('globex').slice(1)).toMatchObject([
    { operation: 'PauseTenant', result: 'ok' },
    { operation: 'ResumeTenant', result: 'ok' },
    { operation: 'PutTenant', settings: { plan: 'free' }, result: 'TENANT_KEY_INVALID' },
    { operation: 'BlockKey', key, result: 'ok' },
  ]);
  expect(readFileSync(installation.services.auditFile, 'utf8')).not.toContain('between us');
});

test('documents are stored and read while the audit log cannot be written', async () => {
  await installation.tenant('initech');
  const { auditFile } = installation.services;
  rmSync(auditFile);
  mkdirSync(auditFile);
  try {
    expect(await installation.end(await enqueue('initech', 'one'))).toBe('done');
    await installation.reader.metadata({ tenant: 'initech', corpus: 'docs', id: 'one' });
  } finally {
    rmSync(auditFile, { recursive: true });
  }
  // The other processes' metrics confirm it.
  const failures = await eventually(async () => {
    const { processes } = await installation.operator.status();
    const sum = processes.reduce((failed, { auditFailures }) => failed + auditFailures, 0);
    return sum > 0 && sum;
  });
  expect(failures).toBeGreaterThan(0);
});
