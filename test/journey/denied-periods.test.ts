// A tenant that denies one day by its key policy, in a running installation: documents of that day are unreadable, and
// nothing else changes.
import { DecryptCommand, GenerateDataKeyCommand, KMSClient, ReEncryptCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createReader, startWorker } from '../../src/app/app.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Reader } from '../../src/reader/reader.ts';
import { documentOf as policyOf } from '../../src/policies/policy-document.ts';
import { keyPolicy } from '../../src/policies/key-policy.ts';
import { objectName } from '../../src/runtime/names.ts';
import { readAll } from '../../src/store/store.ts';
import { denialsOnPage } from '../docs/key-page.ts';
import { headerOf } from '../support/message.ts';
import { openInstallation, squeezed, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const DAY_MS = 86_400_000;
const CORPUS = 'docs';
const OWNER = '111122223333';
const OUR_ACCOUNT = '444455556666';
const OURS = `arn:aws:iam::${OUR_ACCOUNT}:role/sealdex`;

let installation: Installation;

beforeAll(async () => {
  installation = await openInstallation({ AWS_ACCESS_KEY_ID: OURS });
});
afterAll(() => installation[Symbol.asyncDispose]());

/** Stores documents with a worker clock the given number of days behind. */
async function store(tenant: string, ids: readonly string[], daysAgo = 0): Promise<void> {
  const clock = { ...systemClock, now: () => systemClock.now() - daysAgo * DAY_MS };
  const worker = await startWorker(installation.settings, { host: '127.0.0.1', clock });
  try {
    for (const id of ids) {
      const { jobId } = await installation.producer.enqueueIndex({
        tenant,
        corpus: CORPUS,
        document: documentOf(id, `Text of ${id}`),
      });
      expect(await installation.end(jobId)).toBe('done');
    }
  } finally {
    await worker.stop();
  }
}

/** A reader without a cached data key. */
async function read(tenant: string, ids: readonly string[]): Promise<string[]> {
  const reader: Reader = await createReader(installation.settings);
  try {
    return await Promise.all(
      ids.map((id) => textOf(reader, tenant, CORPUS, id).catch((error: { code: string }) => error.code)),
    );
  } finally {
    await reader[Symbol.asyncDispose]();
  }
}

const good = (ids: readonly string[]): string[] => ids.map((id) => squeezed(`Section Text of ${id}`));

async function dayOf(tenant: string, id: string): Promise<string> {
  const stored = await installation.store.get(`documents/${tenant}/${CORPUS}/${objectName(id)}`);
  const { context } = await headerOf(await readAll(stored!));
  return context['period']!.slice(0, '2026-11-23'.length);
}

test('documents of a denied day are unreadable; no gate shuts, and all others are stored and read as before', async () => {
  const [acme, other] = [await installation.tenant('acme'), await installation.tenant('other')];
  const allowed = keyPolicy({ principal: OURS, tenant: 'acme' }, OWNER);
  installation.services.kms.setPolicy(acme, allowed);
  installation.services.kms.setPolicy(other, keyPolicy({ principal: OURS, tenant: 'other' }, OWNER));
  await store('acme', ['three-days-ago', 'also-then'], 3);
  await store('acme', ['six-days-ago'], 6);
  await store('acme', ['today']);
  await store('other', ['of-another'], 3);
  const day = await dayOf('acme', 'three-days-ago');
  expect(await dayOf('acme', 'also-then')).toBe(day);
  const all = ['three-days-ago', 'also-then', 'six-days-ago', 'today'];
  expect(await read('acme', all)).toEqual(good(all));

  installation.services.kms.setPolicy(acme, {
    ...policyOf(allowed.Statement),
    Statement: [...allowed.Statement, denialsOnPage(OUR_ACCOUNT, day)[0]],
  });
  const seen = await read('acme', all);
  expect(seen).toEqual(['PERIOD_DENIED', 'PERIOD_DENIED', ...good(['six-days-ago', 'today'])]);
  expect(await installation.operator.gates()).toEqual({ gates: [], total: 0 });
  await store('acme', ['new']);
  expect(await read('acme', ['new', 'today'])).toEqual(good(['new', 'today']));
  expect(await read('other', ['of-another'])).toEqual(good(['of-another']));
  expect(await installation.operator.gates()).toEqual({ gates: [], total: 0 });
  expect((await installation.operator.status()).parkedByTenant).toEqual([]);

  // A document indexed again belongs to today's period, no longer to the denied one.
  await store('acme', ['also-then']);
  expect(await read('acme', ['also-then', 'three-days-ago'])).toEqual([...good(['also-then']), 'PERIOD_DENIED']);
  installation.services.kms.setPolicy(acme, allowed);
  expect(await read('acme', all)).toEqual(good(all));
});

test.each([
  ['the role as principal', false],
  ['the role by condition', true],
])('a data key of the denied day cannot be re-encrypted into another day: %s', async (_name, byCondition) => {
  const { kms } = installation.services;
  const KeyId = kms.createKey();
  const { Version, Statement } = keyPolicy({ principal: OURS, tenant: 'acme', byCondition }, OWNER);
  const denied = denialsOnPage(OUR_ACCOUNT, '2026-11-23')[byCondition ? 1 : 0];
  const credentials = { accessKeyId: OURS, secretAccessKey: 'local' };
  using open = new DisposableStack();
  const { endpoint, region } = kms;
  const client = open.adopt(new KMSClient({ endpoint, region, credentials, maxAttempts: 1 }), (one) => one.destroy());
  const contextOf = (period: string) => ({ tenant: 'acme', period, purpose: 'documents' });
  const keyOf = async (period: string) => {
    const command = new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext: contextOf(period) });
    return (await client.send(command)).CiphertextBlob!;
  };
  const [otherDay, deniedDay, nextDay] = ['2026-11-22T23:12Z', '2026-11-23T17:12Z', '2026-11-24T00:12Z'] as const;
  /** The result of re-encrypting from one period to the next day, and opening it there. */
  const moved = async (CiphertextBlob: Uint8Array, period: string): Promise<string> => {
    const [from, to] = [contextOf(period), contextOf(nextDay)];
    try {
      const move = { CiphertextBlob, SourceEncryptionContext: from, DestinationKeyId: KeyId };
      const made = await client.send(new ReEncryptCommand({ ...move, DestinationEncryptionContext: to }));
      await client.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob, EncryptionContext: to }));
      return 'decrypted';
    } catch (error) {
      return (error as Error).name;
    }
  };
  kms.setPolicy(KeyId, { Version, Statement });
  const [other, ofThatDay] = [await keyOf(otherDay), await keyOf(deniedDay)];
  expect(await moved(ofThatDay, deniedDay)).toBe('decrypted');
  kms.setPolicy(KeyId, { Version, Statement: [...Statement, denied] });
  const opened = client.send(
    new DecryptCommand({ CiphertextBlob: ofThatDay, EncryptionContext: contextOf(deniedDay) }),
  );
  await expect(opened).rejects.toMatchObject({ name: 'AccessDeniedException' });
  expect(await moved(ofThatDay, deniedDay)).toBe('AccessDeniedException');
  expect(await moved(other, otherDay)).toBe('decrypted');
});
