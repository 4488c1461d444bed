// Jobs that were parked and could not be released in time: dead letters with the code that says why, from which everything
// that can still be read is stored once the tenant has a key that works.
import { expect, test } from 'vitest';
import { createProducer, startWorker } from '../../src/app/app.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import type { Settings } from '../../src/runtime/config.ts';
import type { Producer } from '../../src/producer/producer.ts';
import { queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { readTenantFile, writeTenantFile } from '../../src/store/tenants.ts';
import { eventually } from '../support/eventually.ts';
import { setGate } from '../support/gate.ts';
import { openHouse, textOf, type House } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const DAY_MS = 86_400_000;
const SOON: Settings = { SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 };

const queueOf = (house: House): string => String(house.settings.SEALDEX_QUEUE);

async function enqueue(producer: Producer, id: string): Promise<string> {
  const document = documentOf(id, `Text of ${id}.`);
  return (await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document })).jobId;
}

const isParked = (house: House, jobId: string, code: string): Promise<boolean> =>
  eventually(async () => {
    const status = await house.producer.status(jobId);
    return status.state === 'parked' && status.code === code;
  });

/** Gives the tenant another KMS key, as no command does yet. */
async function giveKey(house: House, keyArn: string): Promise<void> {
  const found = await readTenantFile(house.store, 'acme');
  if (!found) throw new Error('There is no such tenant.');
  const file = JSON.parse(Buffer.from(found.bytes).toString()) as { kmsKeyArn: string };
  const changed = { ...file, kmsKeyArn: keyArn, formerKeyArns: [file.kmsKeyArn] };
  await writeTenantFile(house.store, 'acme', Buffer.from(JSON.stringify(changed)), found.etag);
  await house.redis.publish(redisKeys(queueOf(house)).tenantChanged, 'acme');
}

test('a job that was parked for too long is a dead letter, and its replay stores it when the key is back', async () => {
  await using house = await openHouse(SOON);
  const key = await house.tenant('acme');
  const job = await enqueue(house.producer, 'doc');
  house.services.kms.disable(key);
  await using _worker = await startWorker(house.settings, { host: '127.0.0.1', log: 'silent' });
  await isParked(house, job, 'KEY_DISABLED');
  const gate = gateId(keyRef('acme', key));
  const since = Date.now() - 31 * DAY_MS;
  await house.redis.hset(house.queue.toKey(job), 'parked', `KEY_DISABLED ${since} 1 ${gate}`);
  await house.redis.zadd(queueKeys(redisKeys(queueOf(house)), 'index').parked(gate), since, job);
  expect(await house.end(job)).toBe('dead PARKED_TOO_LONG');

  house.services.kms.enable(key);
  expect(await house.operator.replay({ tenant: 'acme' })).toMatchObject({ sent: 1, stored: 1 });
  expect(await textOf(house.reader, 'acme', 'docs', 'doc')).toContain('Textofdoc.');
});

test('jobs of a KMS key that is gone are dead letters; what came while its gate was shut is stored under the next key', async () => {
  await using house = await openHouse(SOON);
  const key = await house.tenant('acme');
  const before = await enqueue(house.producer, 'before');
  house.services.kms.forget(key);
  const since = Date.now() - DAY_MS - 60_000;
  const gate = { code: 'KEY_NOT_FOUND', since, codeSince: since } as const;
  const place = { redis: house.redis, queue: queueOf(house) };
  await setGate(place, 'acme', key, gate);
  // A producer that opens now knows the gate.
  await using producer = await createProducer(house.settings);
  const during = await enqueue(producer, 'during');
  await using _worker = await startWorker(house.settings, { host: '127.0.0.1', log: 'silent' });
  await isParked(house, before, 'KEY_NOT_FOUND');
  await isParked(house, during, 'KEY_NOT_FOUND');
  await setGate(place, 'acme', key, { ...gate, nextProbe: 0 });
  expect(await house.end(before)).toBe('dead KEY_DESTROYED');
  expect(await house.end(during)).toBe('dead KEY_DESTROYED');

  await giveKey(house, house.services.kms.createKey());
  expect(await house.operator.replay({ jobIds: [during] })).toMatchObject({ sent: 1, stored: 1 });
  expect(await textOf(house.reader, 'acme', 'docs', 'during')).toContain('Textofduring.');
  expect(await house.producer.status(before)).toMatchObject({ state: 'dead', code: 'KEY_DESTROYED' });
});
