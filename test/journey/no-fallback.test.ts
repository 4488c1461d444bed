// KMS errors of a tenant's own key never lead to another key; a new platform key serves tenants without one.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createReader, startWorker } from '../../src/app/app.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { KMS_ERRORS, type KmsFault } from '@sealdex/local-aws';
import { KMS_ERROR_TABLE, type KmsErrorRow } from '../../src/keys/aws/kms-errors.ts';
import { readAll } from '../../src/store/store.ts';
import { changeTenantFile } from '../support/change-tenant-file.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { headerOf } from '../support/message.ts';
import { openInstallation, textOf, type Installation } from './installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';

const opened = new AsyncDisposableStack();
let installation: Installation;

beforeAll(async () => {
  // Calls that wait while KMS throttles hold the slots of the worker until their deadline.
  opened.use(realDeadlines({ promptMs: 40_000, redisMs: 40_000, s3Ms: 40_000 }));
  installation = opened.use(await openInstallation());
});
afterAll(() => opened.disposeAsync());

async function arnsOf(tenant: string, ...prefixes: string[]): Promise<string[]> {
  const arns: string[] = [];
  for (const prefix of prefixes.length > 0 ? prefixes : ['documents'])
    for (const key of await keysUnder(installation.store, `${prefix}/${tenant}/`))
      arns.push((await headerOf(await readAll((await installation.store.get(key))!))).arn);
  return arns;
}

/** Every KMS error of the table, and those caused by the key state. */
const FAULTS: readonly KmsFault[] = [
  ...Object.values<KmsErrorRow>(KMS_ERROR_TABLE).flatMap(({ names }) =>
    names.map((name) => ({ ...KMS_ERRORS.internal, name })),
  ),
  ...Object.values(KMS_ERRORS),
];

const upload = async (tenant: string): Promise<string> => {
  const body = Buffer.from('A file that is kept.');
  const file = { tenant, corpus: 'docs', filename: 'kept.txt', idempotencyKey: tenant, body };
  // On a busy machine S3 may be slow for a producer: the request is repeated, as a caller would.
  return eventually(async () => (await installation.producer.enqueueUpload(file)).jobId);
};

/** Creates a tenant with its own KMS key and stored originals, for each KMS error. */
async function keepers(kind: string): Promise<{ tenant: string; arn: string; fault: KmsFault }[]> {
  const made = [];
  for (const [at, fault] of FAULTS.entries()) {
    const [tenant, arn] = [`${kind}-${at}`, installation.services.kms.createKey()];
    await installation.operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: arn, keepOriginals: true });
    made.push({ tenant, arn, fault });
  }
  return made;
}

/** Whether the job has failed, for now or for ever. */
const failed = (jobId: string): Promise<boolean> =>
  eventually(async () => ['parked', 'retrying', 'dead'].includes((await installation.producer.status(jobId)).state));

const index = async (tenant: string, id: string): Promise<string> => {
  const document = documentOf(id, `Text of ${id}.`);
  return (await installation.producer.enqueueIndex({ tenant, corpus: 'docs', document })).jobId;
};

test('a KMS error never stores a tenant’s document under another key than its own', async () => {
  expect(FAULTS.length).toBeGreaterThan(25);
  const jobs: { tenant: string; arn: string; fault: KmsFault; stored: string; refused: string }[] = [];
  for (const [at, fault] of FAULTS.entries()) {
    const tenant = `tenant-${at}`;
    const arn = await installation.tenant(tenant);
    jobs.push({ tenant, arn, fault, stored: await index(tenant, 'before'), refused: '' });
  }
  await using _worker = await startWorker(installation.settings);
  for (const { stored } of jobs) expect(await installation.end(stored)).toBe('done');
  for (const job of jobs) {
    installation.services.kms.faults.set({ match: { key: job.arn }, fault: job.fault });
    await installation.operator.block(job.tenant, job.arn, 'wipes the data keys that are in memory');
    job.refused = await index(job.tenant, 'after');
    await installation.operator.unblock(job.tenant, job.arn);
  }
  for (const { refused } of jobs) await failed(refused);
  for (const { tenant, arn } of jobs) expect([tenant, await arnsOf(tenant)]).toEqual([tenant, [arn]]);
});

test('a KMS error never stores an original file, or its document, under another key', async () => {
  const { kms } = installation.services;
  const jobs: { tenant: string; arn: string; jobId: string }[] = [];
  for (const { tenant, arn, fault } of await keepers('upload')) {
    await installation.operator.block(tenant, arn, 'so that what comes now waits under the platform key');
    jobs.push({ tenant, arn, jobId: await upload(tenant) });
    await installation.operator.unblock(tenant, arn);
    kms.faults.set({ match: { key: arn }, fault });
  }
  kms.counts.reset();
  await using _worker = await startWorker(installation.settings);
  for (const { jobId, arn } of jobs) {
    // A deferred job is retrying too, before it has called KMS.
    await eventually(() => kms.counts.count({ key: arn }) > 0);
    await failed(jobId);
  }
  for (const { tenant } of jobs) expect([tenant, await arnsOf(tenant, 'documents', 'originals')]).toEqual([tenant, []]);
});

test('a KMS error never re-encrypts a stored object under another key than the new one', async () => {
  const { kms } = installation.services;
  const moves = await keepers('move');
  // Each re-encrypts one tenant's objects at a time.
  await using workers = new AsyncDisposableStack();
  for (let count = 0; count < 4; count++) workers.use(await startWorker(installation.settings));
  const stored: string[] = [];
  for (const { tenant } of moves) stored.push(await upload(tenant));
  for (const jobId of stored) expect(await installation.end(jobId)).toBe('done');
  const jobs: { to: string; jobId: string }[] = [];
  for (const [at, { tenant, arn: from, fault }] of moves.entries()) {
    const to = kms.createKey();
    const id = at.toString(16).padStart(16, '0');
    const entry = { change: 'key', id, at: systemClock.now(), operator: 'the test', from, to } as const;
    await changeTenantFile(installation.operator, tenant, { key: { entry, platformArns: new Set() } });
    kms.faults.set({ match: { key: to }, fault });
    await installation.operator.reencrypt(tenant);
    jobs.push({ to, jobId: (await installation.operator.reencryption(tenant)).jobId! });
  }
  // They defer to each other until each has run.
  for (const { to, jobId } of jobs) {
    await eventually(() => kms.counts.count({ key: to }) > 0);
    await failed(jobId);
  }
  for (const { tenant, arn } of moves)
    expect([tenant, await arnsOf(tenant, 'documents', 'originals')]).toEqual([tenant, [arn, arn]]);
});

test('a new platform key serves new documents, and the former one still serves reads', async () => {
  await installation.operator.putTenant('keyless', { plan: 'free' });
  const former = String(installation.settings.SEALDEX_PLATFORM_KEY_ARN);
  const settings = {
    ...installation.settings,
    SEALDEX_PLATFORM_KEY_ARN: installation.services.kms.createKey(),
    SEALDEX_PLATFORM_FORMER_KEY_ARNS: former,
  };
  const waiting = await index('keyless', 'waiting');
  {
    await using _before = await startWorker(installation.settings);
    expect(await installation.end(waiting)).toBe('done');
  }
  // Its content is under the former key, and it is stored under the new one.
  const queued = await index('keyless', 'queued');
  await using _after = await startWorker(settings);
  expect(await installation.end(queued)).toBe('done');
  expect((await arnsOf('keyless')).toSorted()).toEqual([former, settings.SEALDEX_PLATFORM_KEY_ARN].toSorted());
  await using reader = await createReader(settings);
  expect(await textOf(reader, 'keyless', 'docs', 'waiting')).toContain('Textofwaiting.');
  expect(await textOf(reader, 'keyless', 'docs', 'queued')).toContain('Textofqueued.');
});
