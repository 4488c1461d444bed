// A tenant's KMS key is changed in operation: new documents use the new key at once, old ones stay readable and are
// re-encrypted, parked jobs return, and a concurrent change is rejected.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import type { SealdexError } from '../../src/runtime/errors.ts';
import { readAll } from '../../src/store/store.ts';
import { SETTLED_MS } from '../../src/tenants/tenants.ts';
import { putTenantFile } from '../../src/tenants/file.ts';
import { PLATFORM } from '../../src/runtime/names.ts';
import { eventually } from '../support/eventually.ts';
import { headerOf } from '../support/message.ts';
import { openInstallation, squeezed, textOf, type Installation } from './installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';

const opened = new AsyncDisposableStack();
let installation: Installation;
let platformArn: string;
let tenant: string;
let arn: string;
let count = 0;

beforeAll(async () => {
  installation = opened.use(await openInstallation());
  opened.use(await startWorker(installation.settings));
  platformArn = String(installation.settings.SEALDEX_PLATFORM_KEY_ARN);
});
afterAll(() => opened.disposeAsync());
beforeEach(async () => {
  tenant = `tenant-${(count += 1)}`;
  arn = await installation.tenant(tenant);
});

const textIn = (id: string): string => `Text of ${id}.`;
/** As the reader returns it: a section's title comes first. */
const readIn = (id: string): string => squeezed(`Section ${textIn(id)}`);

async function index(id: string): Promise<string> {
  const document = documentOf(id, textIn(id));
  return (await installation.producer.enqueueIndex({ tenant, corpus: 'docs', document })).jobId;
}

async function store(...ids: string[]): Promise<void> {
  for (const id of ids) expect(await installation.end(await index(id))).toBe('done');
}

/** The KMS keys of the tenant's objects. */
async function arnsUnder(prefix: string): Promise<Set<string>> {
  const arns = new Set<string>();
  for (const key of await keysUnder(installation.store, `${prefix}/${tenant}/`)) {
    const stored = await installation.store.get(key);
    if (stored && stored.metadata['deleted'] !== '1') arns.add((await headerOf(await readAll(stored))).arn);
    else stored?.discard();
  }
  return arns;
}

/** As if the key had been changed long enough ago for every process to have the change. */
async function changedLongAgo(): Promise<void> {
  const file = await installation.operator.tenant(tenant);
  const reencryption = { ...file.reencryption, since: file.reencryption!.since - SETTLED_MS };
  await installation.store.put(`tenants/${tenant}.json`, Buffer.from(JSON.stringify({ ...file, reencryption })), {});
}

const read = (id: string): Promise<string> => textOf(installation.reader, tenant, 'docs', id);

const faultOf = (call: Promise<unknown>): Promise<SealdexError> =>
  call.then(
    () => Promise.reject(new Error('The call did not fail.')),
    (error: SealdexError) => error,
  );

test('stored objects move to the new key, then the former one is not needed', async () => {
  await installation.operator.putTenant(tenant, { keepOriginals: true });
  await store('one', 'two', 'three');
  const body = Buffer.from('A file that is kept.');
  const file = { tenant, corpus: 'docs', filename: 'kept.txt', documentId: 'kept', body };
  expect(await installation.end((await installation.producer.enqueueUpload(file)).jobId)).toBe('done');
  expect(
    await installation.end((await installation.producer.enqueueDelete({ tenant, corpus: 'docs', id: 'two' })).jobId),
  ).toBe('done');
  const before = await installation.reader.metadata({ tenant, corpus: 'docs', id: 'one' });

  const next = installation.services.kms.createKey();
  const changed = await installation.operator.setKey(tenant, next);
  expect(changed).toMatchObject({ tenant, from: arn, to: next, changed: true });
  await eventually(async () => !(await arnsUnder('documents')).has(arn));
  await eventually(async () => !(await arnsUnder('originals')).has(arn));
  expect(await installation.operator.reencryption(tenant)).toMatchObject({ state: 'moving' });

  await installation.operator.reencrypt(tenant);
  await eventually(async () => (await installation.operator.reencryption(tenant)).passBegun! > Date.now());
  await changedLongAgo();
  await installation.operator.reencrypt(tenant);
  await eventually(async () => (await installation.operator.reencryption(tenant)).state === 'done');
  expect((await installation.operator.reencryption(tenant)).counts).toEqual({
    current: 5,
    moved: 0,
    changed: 0,
    unreadable: 0,
  });

  installation.services.kms.disable(arn);
  await using fresh = await installation.freshReader();
  expect(await textOf(fresh, tenant, 'docs', 'three')).toBe(readIn('three'));
  expect(await fresh.metadata({ tenant, corpus: 'docs', id: 'one' })).toEqual(before);
  await using kept = await fresh.original({ tenant, corpus: 'docs', id: 'kept' });
  expect(Buffer.concat(await Array.fromAsync(kept.body))).toEqual(body);
});

test('jobs parked under the old key are released and use the new one', async () => {
  await store('warm');
  installation.services.kms.disable(arn);
  await installation.operator.block(tenant, arn, 'wipes the data key that is in memory');
  await installation.operator.unblock(tenant, arn);
  const job = await index('parked');
  await eventually(async () => (await installation.producer.status(job)).state === 'parked');
  const next = installation.services.kms.createKey();
  await installation.operator.setKey(tenant, next);
  expect(await installation.end(job)).toBe('done');
  expect(await read('parked')).toBe(readIn('parked'));
  // Objects under the disabled key stay until it works again.
  expect(await arnsUnder('documents')).toEqual(new Set([arn, next]));
  await eventually(async () => {
    const { jobId = '' } = await installation.operator.reencryption(tenant);
    return (await installation.producer.status(jobId)).state === 'parked';
  });
  installation.services.kms.enable(arn);
  await installation.operator.release(tenant, arn);
  await eventually(async () => !(await arnsUnder('documents')).has(arn));
});

test("a new tenant's key is in its history, and needs no re-encryption", async () => {
  const made = await installation.operator.tenant(tenant);
  const operator = 'arn:aws:sts::111122223333:assumed-role/sealdex/local';
  expect(made.history).toEqual([
    {
      change: 'key',
      id: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      at: expect.any(Number) as number,
      operator,
      from: PLATFORM,
      to: arn,
    },
  ]);
  expect(await installation.operator.reencryption(tenant)).toEqual({ state: 'none' });
  // A repetition changes nothing.
  await installation.operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: arn });
  expect(await installation.operator.tenant(tenant)).toEqual(made);
});

test('a change interrupted after the file is completed by its repetition', async () => {
  await store('warm');
  installation.services.kms.disable(arn);
  await installation.operator.block(tenant, arn, 'wipes the data key that is in memory');
  const job = await index('parked');
  await eventually(async () => (await installation.producer.status(job)).state === 'parked');
  const next = installation.services.kms.createKey();
  const entry = { change: 'key', id: '0123456789abcdef', at: Date.now(), operator: 'me', from: arn, to: next } as const;
  await putTenantFile(installation.store, tenant, { key: { entry, platformArns: new Set() } });
  const file = await installation.operator.tenant(tenant);

  expect(await installation.operator.setKey(tenant, next)).toEqual({ tenant, from: next, to: next, changed: false });
  expect(await installation.end(job)).toBe('done');
  expect(await installation.operator.tenant(tenant)).toEqual(file);
});

test('one of two operators with parallel key changes receives a conflict', async () => {
  const [one, other] = [installation.services.kms.createKey(), installation.services.kms.createKey()];
  const both = await Promise.allSettled([
    installation.operator.setKey(tenant, one),
    installation.operator.setKey(tenant, other),
  ]);
  const lost = both.flatMap((each) => (each.status === 'rejected' ? [each.reason as SealdexError] : []));
  expect(lost.map(({ code }) => code)).toEqual(['TENANT_CHANGED']);
  expect((await installation.operator.tenant(tenant)).history).toHaveLength(2);
});

test('an unusable key is rejected, and nothing is changed', async () => {
  const before = await installation.operator.tenant(tenant);
  const next = installation.services.kms.createKey();
  installation.services.kms.disable(next);
  expect(await faultOf(installation.operator.setKey(tenant, next))).toMatchObject({ code: 'TENANT_KEY_INVALID' });
  expect(await installation.operator.tenant(tenant)).toEqual(before);
});

test('a change back to the platform key re-encrypts stored objects, and the history has the user', async () => {
  await store('one');
  expect(await installation.operator.setKey(tenant, PLATFORM)).toMatchObject({ from: arn, to: PLATFORM });
  await eventually(async () => (await arnsUnder('documents')).has(platformArn));
  expect(await arnsUnder('documents')).toEqual(new Set([platformArn]));
  const { history, formerKeyArns } = await installation.operator.tenant(tenant);
  const operator = 'arn:aws:sts::111122223333:assumed-role/sealdex/local';
  expect(history).toMatchObject([
    { change: 'key', operator, from: PLATFORM, to: arn },
    { change: 'key', operator, from: arn, to: PLATFORM },
  ]);
  expect(formerKeyArns).toEqual([arn]);
});
