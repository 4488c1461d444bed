// Workers killed in the middle of their work lose no document and store none twice.
import { expect, test } from 'vitest';
import type { Settings } from '../../src/runtime/config.ts';
import type { IndexRequest } from '../../src/producer/producer.ts';
import { eventually } from '../support/eventually.ts';
import { unhurried } from '../support/unhurried.ts';
import { openInstallation, squeezed, textOf, type Installation } from './installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';
import { startWorkerChild, type WorkerChild } from './worker-child.ts';

const DOCUMENTS = 1000;
const TENANTS = ['own-1', 'own-2', 'platform'];

/** One in eight is too large for the queue and waits in S3. */
const textFor = (index: number): string =>
  `This is the text of document ${index}. `.repeat(index % 8 === 0 ? 300 : 1 + (index % 5));

const requests: IndexRequest[] = Array.from({ length: DOCUMENTS }, (_, index) => ({
  tenant: TENANTS[index % TENANTS.length] ?? '',
  corpus: 'docs',
  document: documentOf(`document ${index}`, textFor(index)),
}));

test('kill -9 of four workers during 1,000 documents leaves 1,000 correct objects', async () => {
  await using installation = await openInstallation();
  await installation.tenant('own-1');
  await installation.tenant('own-2');
  await installation.operator.putTenant('platform', { plan: 'free' });
  const enqueued = await installation.producer.enqueueIndexBulk(requests);
  const revisions = enqueued.map((result) => ('revision' in result ? result.revision : 0));
  expect(Math.min(...revisions)).toBeGreaterThan(0);

  await using workers = new AsyncDisposableStack();
  const start = async (): Promise<WorkerChild> => {
    const settings: Settings = { ...installation.settings, SEALDEX_CONCURRENCY: 16 };
    return workers.use(await startWorkerChild(settings));
  };
  const [first, second, third] = await Promise.all([start(), start(), start()]);
  await killWhenStored(installation, 100, first);
  await killWhenStored(installation, 250, second, third);
  const { index } = await installation.operator.status();
  expect(index.active, 'jobs that died with their workers').toBeGreaterThan(0);
  const [fourth, last] = await Promise.all([start(), start()]);
  await killWhenStored(installation, 550, fourth);
  await installation.empty();

  expect((await installation.operator.status()).index.dead).toBe(0);
  await Promise.all(TENANTS.map((tenant) => checkStored(installation, tenant, revisions)));
  await checkIntake(installation);
  last.kill('SIGTERM');
  expect(await last.exited).toEqual({ code: 0, signal: null });
});

async function killWhenStored({ services }: Installation, stored: number, ...victims: WorkerChild[]): Promise<void> {
  const isReached = (): boolean => services.s3.requests.count({ method: 'PUT', prefix: 'documents/' }) >= stored;
  await eventually(isReached);
  for (const victim of victims) victim.kill('SIGKILL');
  await Promise.all(victims.map(({ exited }) => exited));
}

/** Every document of the tenant exists once, with its revision, and decrypts to its own text. */
async function checkStored(installation: Installation, tenant: string, revisions: readonly number[]): Promise<void> {
  const reader = unhurried(installation.reader);
  const expected = requests.flatMap((request, index) => (request.tenant === tenant ? [index] : []));
  const stored = new Map<string | undefined, number>();
  let after: string | undefined;
  do {
    const page = await reader.list({ tenant, corpus: 'docs', limit: 1000, metadata: true, after });
    for (const { document, revision } of page.documents) stored.set(document?.id, revision);
    after = page.next;
  } while (after !== undefined);
  expect(stored).toEqual(new Map(expected.map((index) => [`document ${index}`, revisions[index]])));
  for (const index of expected) {
    expect(await textOf(reader, tenant, 'docs', `document ${index}`)).toContain(squeezed(textFor(index)));
  }
}

/** Orphans are left in intake: content of done jobs whose worker died before the removal. */
async function checkIntake({ store, producer }: Installation): Promise<void> {
  const left = await keysUnder(store, 'intake/');
  expect(left.length).toBeLessThan(64);
  const states = await Promise.all(left.map((key) => producer.status(key.split('/')[2] ?? '')));
  expect(states.map(({ state }) => state).filter((state) => state !== 'done')).toEqual([]);
}
