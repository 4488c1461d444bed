// Whatever KMS says to a tenant's own key, nothing is stored under another one; and a new platform key serves those who have none.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createReader, startIndexWorker } from '../../src/app.ts';
import { KMS_ERRORS, type KmsFault } from '../../src/dev/kms/faults.ts';
import { KMS_ERROR_TABLE, type KmsErrorRow } from '../../src/keys/kms-errors.ts';
import { readAll } from '../../src/store/s3.ts';
import { eventually } from '../support/eventually.ts';
import { headerOf } from '../support/message.ts';
import { documentOf, keysUnder, openHouse, textOf, type House } from './house.ts';

const opened = new AsyncDisposableStack();
let house: House;

beforeAll(async () => {
  house = opened.use(await openHouse());
});
afterAll(() => opened.disposeAsync());

async function arnsOf(tenant: string): Promise<string[]> {
  const arns: string[] = [];
  for (const key of await keysUnder(house.store, `documents/${tenant}/`))
    arns.push((await headerOf(await readAll((await house.store.get(key))!))).arn);
  return arns;
}

const index = async (tenant: string, id: string): Promise<string> => {
  const document = documentOf(id, `Text of ${id}.`);
  return (await house.producer.enqueueIndex({ tenant, corpus: 'docs', document })).jobId;
};

test('no error of KMS makes a tenant’s document end up under another key than its own', async () => {
  const names = Object.values<KmsErrorRow>(KMS_ERROR_TABLE).flatMap((row) => row.names);
  const faults: KmsFault[] = [...names.map((name) => ({ ...KMS_ERRORS.internal, name })), ...Object.values(KMS_ERRORS)];
  expect(faults.length).toBeGreaterThan(25);
  const jobs: { tenant: string; arn: string; fault: KmsFault; stored: string; refused: string }[] = [];
  for (const [at, fault] of faults.entries()) {
    const tenant = `tenant-${at}`;
    const arn = await house.tenant(tenant);
    jobs.push({ tenant, arn, fault, stored: await index(tenant, 'before'), refused: '' });
  }
  await using _worker = await startIndexWorker(house.settings, { log: 'silent' });
  for (const { stored } of jobs) expect(await house.end(stored)).toBe('done');
  for (const job of jobs) {
    house.services.kms.faults.set({ match: { key: job.arn }, fault: job.fault });
    await house.operator.block(job.tenant, job.arn, 'wipes the data keys that are in memory');
    job.refused = await index(job.tenant, 'after');
    await house.operator.unblock(job.tenant, job.arn);
  }
  for (const { refused } of jobs)
    await eventually(async () => ['parked', 'retrying', 'dead'].includes((await house.producer.status(refused)).state));
  for (const { tenant, arn } of jobs) expect([tenant, await arnsOf(tenant)]).toEqual([tenant, [arn]]);
});

test('a new platform key serves new documents, and the former one goes on reading', async () => {
  await house.operator.putTenant('keyless', { plan: 'free' });
  const former = String(house.settings.SEALDEX_PLATFORM_KEY_ARN);
  const settings = {
    ...house.settings,
    SEALDEX_PLATFORM_KEY_ARN: house.services.kms.createKey(),
    SEALDEX_PLATFORM_FORMER_KEY_ARNS: former,
  };
  const waiting = await index('keyless', 'waiting');
  {
    await using _before = await startIndexWorker(house.settings, { log: 'silent' });
    expect(await house.end(waiting)).toBe('done');
  }
  // Its content is under the former key, and it is stored under the new one.
  const queued = await index('keyless', 'queued');
  await using _after = await startIndexWorker(settings, { log: 'silent' });
  expect(await house.end(queued)).toBe('done');
  expect((await arnsOf('keyless')).toSorted()).toEqual([former, settings.SEALDEX_PLATFORM_KEY_ARN].toSorted());
  await using reader = await createReader(settings);
  expect(await textOf(reader, 'keyless', 'docs', 'waiting')).toContain('Textofwaiting.');
  expect(await textOf(reader, 'keyless', 'docs', 'queued')).toContain('Textofqueued.');
});
