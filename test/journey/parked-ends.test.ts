// Jobs parked for too long: dead letters with a code, stored by a replay once the tenant has a working key, if their content
// can still be read.
import { expect, test } from 'vitest';
import { createProducer, startWorker } from '../../src/app/app.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import type { Settings } from '../../src/runtime/config.ts';
import type { Producer } from '../../src/producer/producer.ts';
import { queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { readTenantFile, writeTenantFile } from '../../src/store/tenants.ts';
import { eventually } from '../support/eventually.ts';
import { setGate } from '../support/gate.ts';
import { openInstallation, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const DAY_MS = 86_400_000;
const SOON: Settings = { SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 };

const queueOf = (installation: Installation): string => String(installation.settings.SEALDEX_QUEUE);

async function enqueue(producer: Producer, id: string): Promise<string> {
  const document = documentOf(id, `Text of ${id}.`);
  return (await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document })).jobId;
}

const isParked = (installation: Installation, jobId: string, code: string): Promise<boolean> =>
  eventually(async () => {
    const status = await installation.producer.status(jobId);
    return status.state === 'parked' && status.code === code;
  });

/** Gives the tenant another KMS key, without the checks of the command. */
async function giveKey(installation: Installation, keyArn: string): Promise<void> {
  const found = await readTenantFile(installation.store, 'acme');
  if (!found) throw new Error('There is no such tenant.');
  const file = JSON.parse(Buffer.from(found.bytes).toString()) as { kmsKeyArn: string };
  const changed = { ...file, kmsKeyArn: keyArn, formerKeyArns: [file.kmsKeyArn] };
  await writeTenantFile(installation.store, 'acme', Buffer.from(JSON.stringify(changed)), found.etag);
  await installation.redis.publish(redisKeys(queueOf(installation)).tenantChanged, 'acme');
}

test('a job parked for too long becomes a dead letter, and its replay stores it when the key works again', async () => {
  await using installation = await openInstallation(SOON);
  const key = await installation.tenant('acme');
  const job = await enqueue(installation.producer, 'doc');
  installation.services.kms.disable(key);
  await using _worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await isParked(installation, job, 'KEY_DISABLED');
  const gate = gateId(keyRef('acme', key));
  const since = Date.now() - 31 * DAY_MS;
  await installation.redis.hset(installation.queue.toKey(job), 'parked', `KEY_DISABLED ${since} 1 ${gate}`);
  await installation.redis.zadd(queueKeys(redisKeys(queueOf(installation)), 'index').parked(gate), since, job);
  expect(await installation.end(job)).toBe('dead PARKED_TOO_LONG');

  installation.services.kms.enable(key);
  expect(await installation.operator.replay({ tenant: 'acme' })).toMatchObject({ sent: 1, stored: 1 });
  expect(await textOf(installation.reader, 'acme', 'docs', 'doc')).toContain('Textofdoc.');
});

test('jobs of a deleted KMS key become dead letters; content accepted during the shut gate is stored under the next key', async () => {
  await using installation = await openInstallation(SOON);
  const key = await installation.tenant('acme');
  const before = await enqueue(installation.producer, 'before');
  installation.services.kms.forget(key);
  const since = Date.now() - DAY_MS - 60_000;
  const gate = { code: 'KEY_NOT_FOUND', since, codeSince: since } as const;
  const place = { redis: installation.redis, queue: queueOf(installation) };
  await setGate(place, 'acme', key, gate);
  // A new producer reads the gate at its start.
  await using producer = await createProducer(installation.settings);
  const during = await enqueue(producer, 'during');
  await using _worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await isParked(installation, before, 'KEY_NOT_FOUND');
  await isParked(installation, during, 'KEY_NOT_FOUND');
  await setGate(place, 'acme', key, { ...gate, nextProbe: 0 });
  expect(await installation.end(before)).toBe('dead KEY_DESTROYED');
  expect(await installation.end(during)).toBe('dead KEY_DESTROYED');

  await giveKey(installation, installation.services.kms.createKey());
  expect(await installation.operator.replay({ jobIds: [during] })).toMatchObject({ sent: 1, stored: 1 });
  expect(await textOf(installation.reader, 'acme', 'docs', 'during')).toContain('Textofduring.');
  expect(await installation.producer.status(before)).toMatchObject({ state: 'dead', code: 'KEY_DESTROYED' });
});
