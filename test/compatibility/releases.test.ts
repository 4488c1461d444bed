// Installations of former releases: this build finishes their jobs and reads what they stored.
import { expect, test } from 'vitest';
import { createOperator, createProducer, createReader, startWorker } from '../../src/app/app.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { VERSION } from '../../src/runtime/version.ts';
import { eventually } from '../support/eventually.ts';
import { squeezed, textOf } from '../journey/installation.ts';
import { loadSaved, readSaved, savedDocument, savedReleases } from './saved.ts';

const LARGE = 200;
const WAITING = ['waiting inline', 'waiting in intake', 'waiting plain', 'waiting file', 'waiting deletion'];
const PARKED = ['parked inline', 'parked in intake', 'parked file'];

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => (error instanceof SealdexError ? error.code : String(error)),
  );

test('the installation of this release is saved', () => {
  expect(savedReleases()).toContain(VERSION);
});

test.each(savedReleases())('the installation of release %s is processed by this build', async (release) => {
  const saved = readSaved(release);
  await using installation = await loadSaved(saved);
  const settings = { ...installation.settings, SEALDEX_PROBE_MIN_MS: '100ms', SEALDEX_PROBE_MAX_MS: '1s' };
  const { kms } = installation;
  await using operator = await createOperator(settings);
  await using producer = await createProducer(settings);
  await using reader = await createReader(settings);
  const statesOf = (names: readonly string[]): Promise<string[]> =>
    Promise.all(names.map(async (name) => (await producer.status(saved.jobs[name] ?? '')).state));
  const all = (names: readonly string[], state: string): Promise<unknown> =>
    eventually(async () => (expect(await statesOf(names)).toEqual(names.map(() => state)), true));
  const place = (tenant: string, id: string) => ({ tenant, corpus: 'docs', id });

  // Before a worker has run: states, gate, dead letter and counters.
  expect(await statesOf(['stored', 'conflict', ...PARKED])).toEqual(['done', 'dead', 'parked', 'parked', 'parked']);
  expect(await statesOf(WAITING)).toEqual(WAITING.map(() => 'queued'));
  expect(await operator.status()).toMatchObject({
    platformKeyContent: { jobs: 3 },
    deadByTenant: [{ tenant: 'acme', code: 'DOCUMENT_CONFLICT', letters: 1 }],
    parkedByTenant: [{ tenant: 'parked' }],
  });
  const first = { tenant: 'acme', corpus: 'docs', document: savedDocument('stored'), idempotencyKey: 'first' };
  expect(await producer.enqueueIndex(first)).toMatchObject({ status: 'duplicate', jobId: saved.jobs['stored'] });
  const other = { ...first, document: savedDocument('another') };
  expect(await codeOf(producer.enqueueIndex(other))).toBe('IDEMPOTENCY_CONFLICT');

  await using _worker = await startWorker(settings, { host: '127.0.0.1' });
  await all(WAITING, 'done');
  for (const { arn } of kms.keys().filter(({ state }) => state === 'Disabled')) kms.enable(arn);
  await all(PARKED, 'done');
  await eventually(async () => {
    const { state, passBegun, settledAt } = await operator.reencryption('moved');
    // The waiting job finished the first pass. The last one begins minutes after the change of the key.
    return state === 'done' || (passBegun !== undefined && passBegun === settledAt);
  });

  const text = (id: string, repetitions?: number): string =>
    squeezed(savedDocument(id, repetitions).sections[0]?.text ?? '');
  const read = (tenant: string, id: string): Promise<string> => textOf(reader, tenant, 'docs', id);
  for (const id of ['stored', 'waiting inline', 'waiting plain']) expect(await read('acme', id)).toContain(text(id));
  expect(await read('acme', 'waiting in intake')).toContain(text('waiting in intake', LARGE));
  expect(await read('parked', 'parked inline')).toContain(text('parked inline'));
  expect(await read('parked', 'parked in intake')).toContain(text('parked in intake', LARGE));
  expect(await read('moved', 're-encrypted')).toContain(text('re-encrypted'));
  for (const [tenant, id] of [
    ['acme', 'file'],
    ['acme', 'waiting file'],
    ['parked', 'parked file'],
  ] as const) {
    await using original = await reader.original(place(tenant, id));
    expect(Buffer.concat(await Array.fromAsync(original.body)).toString()).toBe(`Text of ${id}.`);
  }
  // A waiting job deletes the second one.
  for (const id of ['deleted', 'large']) expect(await codeOf(reader.open(place('acme', id)))).toBe('NOT_FOUND');

  expect(await operator.replay({ code: 'DOCUMENT_CONFLICT' })).toMatchObject({ sent: 1 });
  expect(await statesOf(['conflict'])).toEqual(['dead']);
  await eventually(async () => (await operator.status()).platformKeyContent.jobs === 0);
});
