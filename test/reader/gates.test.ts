// A reader while a tenant's KMS key is unusable: it rejects at once, and calls neither KMS nor S3.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KMS_ERRORS, type KmsServer } from '@sealdex/local-aws';
import { SealdexError } from '../../src/runtime/errors.ts';
import { createReaderFrom } from '../../src/reader/reader.ts';
import { gatedBytes, watchGates } from '../../src/reader/gated-stream.ts';
import { documentOf, ended, openScene, refusalOf, type Scene } from '../producer/fixture.ts';
import { changeTenantFile } from '../support/change-tenant-file.ts';
import { eventually } from '../support/eventually.ts';
import { setGate, SHUT_AT } from '../support/gate.ts';
import { storeDocuments, type Place } from './fixture.ts';

let scene: Scene;
let kms: KmsServer;

beforeAll(async () => {
  scene = await openScene();
  kms = scene.services.kms;
});
beforeEach(() => kms.faults.clear());
afterAll(() => scene[Symbol.asyncDispose]());

let tenants = 0;

/** A separate tenant for a test, with two documents. */
async function stored(): Promise<{ tenant: string; arn: string; place: Place }> {
  const tenant = `tenant-${(tenants += 1)}`;
  const arn = await scene.tenant(tenant);
  await storeDocuments(scene, { tenant, corpus: 'docs' }, [documentOf('one'), documentOf('two')]);
  return { tenant, arn, place: { tenant, corpus: 'docs', id: 'one' } };
}

const shut = (tenant: string, arn: string): Promise<void> =>
  setGate({ redis: scene.redis, queue: scene.config.queue }, tenant, arn);

describe('a shut gate', () => {
  it('makes metadata() and open() throw its code and time, without a call to KMS or for the document', async () => {
    const { tenant, arn, place } = await stored();
    await shut(tenant, arn);
    const reader = await scene.reader();
    kms.counts.reset();
    scene.services.s3.requests.reset();
    const refused = { code: 'KEY_DISABLED', keyArn: arn, since: SHUT_AT };
    expect(await refusalOf(() => reader.metadata(place))).toMatchObject(refused);
    expect(await refusalOf(() => reader.open(place))).toMatchObject(refused);
    // The error does not reveal whether the document exists.
    expect(await refusalOf(() => reader.metadata({ ...place, id: 'none' }))).toMatchObject(refused);
    expect(kms.counts.all()).toEqual([]);
    expect(scene.services.s3.requests.count({ prefix: 'documents/' })).toBe(0);
  });

  it('is effective for a reader with the data key and a recently opened document too', async () => {
    const { tenant, arn, place } = await stored();
    const reader = await scene.reader();
    expect(await reader.metadata(place)).toMatchObject({ id: 'one' });
    await shut(tenant, arn);
    await eventually(() =>
      reader.metadata(place).then(
        () => false,
        () => true,
      ),
    );
    expect(await refusalOf(() => reader.open(place))).toMatchObject({ code: 'KEY_DISABLED', since: SHUT_AT });
    await setGate({ redis: scene.redis, queue: scene.config.queue }, tenant, arn, { state: 'draining' });
    expect(await eventually(() => reader.metadata(place))).toMatchObject({ id: 'one' });
  });

  it('does not affect list() without metadata; with metadata each line has the code, without a KMS call', async () => {
    const { tenant, arn } = await stored();
    await shut(tenant, arn);
    const reader = await scene.reader();
    kms.counts.reset();
    const plain = await reader.list({ tenant, corpus: 'docs' });
    expect(plain.documents.map(({ code, document }) => [code, document])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
    const { documents } = await reader.list({ tenant, corpus: 'docs', metadata: true });
    expect(documents).toEqual(plain.documents.map((line) => ({ ...line, code: 'KEY_DISABLED' })));
    expect(kms.counts.all()).toEqual([]);
  });

  it('does not affect other tenants', async () => {
    const [{ tenant, arn }, other] = [await stored(), await stored()];
    await shut(tenant, arn);
    expect(await (await scene.reader()).metadata(other.place)).toMatchObject({ id: 'one' });
  });

  it('by an operator has the same effect: a paused tenant is not read, and its documents remain', async () => {
    const { tenant, place } = await stored();
    const reader = await scene.reader();
    await changeTenantFile(scene.operator, tenant, { paused: { reason: 'asked for', since: SHUT_AT } });
    const refused = { code: 'TENANT_PAUSED', since: SHUT_AT };
    await eventually(() =>
      reader.metadata(place).then(
        () => false,
        () => true,
      ),
    );
    expect(await refusalOf(() => reader.open(place))).toMatchObject(refused);
    await changeTenantFile(scene.operator, tenant, { paused: null });
    expect(await eventually(() => reader.metadata(place))).toMatchObject({ id: 'one' });
  });
});

describe('a reader in progress when the gate is shut', () => {
  it('returns no further part of a document', async () => {
    const { tenant, arn, place } = await stored();
    const reader = await scene.reader();
    const text = 'It is so. '.repeat(100);
    const document_parts = Array.from({ length: 100 }, () => ({ text }));
    await storeDocuments(scene, place, [{ type: 'core', id: 'many', document_parts }]);
    const opened = await reader.open({ ...place, id: 'many' });
    const parts = opened.parts[Symbol.asyncIterator]();
    expect(await parts.next()).toMatchObject({ value: { text } });
    await shut(tenant, arn);
    await eventually(() =>
      reader.metadata(place).then(
        () => false,
        () => true,
      ),
    );
    expect(await refusalOf(() => parts.next())).toMatchObject({ code: 'KEY_DISABLED', keyArn: arn, since: SHUT_AT });
    await setGate({ redis: scene.redis, queue: scene.config.queue }, tenant, arn, { state: 'draining' });
    await eventually(() => reader.metadata(place));
    expect(await parts.next()).toMatchObject({ done: true });
  });

  it('returns no further data under a former key once the gate of that key is shut', async () => {
    const { tenant, arn, place } = await stored();
    await scene.operator.putTenant(tenant, { keepOriginals: true });
    const producer = await scene.producer();
    const body = Buffer.alloc(300_000, `${'It is so. '.repeat(100)}\n`);
    const { jobId } = await producer.enqueueUpload({
      tenant,
      corpus: 'docs',
      documentId: 'file',
      filename: 'file.txt',
      body,
    });
    const stop = await scene.work();
    await ended(producer, jobId);
    await stop();
    const current = scene.services.kms.createKey();
    await scene.operator.setKey(tenant, current);
    const reader = await scene.reader();
    const document = (await reader.open({ ...place, id: 'file' })).parts[Symbol.asyncIterator]();
    const original = (await reader.original({ ...place, id: 'file' })).body[Symbol.asyncIterator]();
    for (const opened of [document, original]) expect(await opened.next()).toMatchObject({ done: false });
    await shut(tenant, arn);
    const refused = { code: 'KEY_DISABLED', keyArn: arn, since: SHUT_AT };
    await eventually(() =>
      reader.metadata(place).then(
        () => false,
        () => true,
      ),
    );
    for (const opened of [document, original]) expect(await refusalOf(() => opened.next())).toMatchObject(refused);
    // The tenant's own gate is still open.
    await storeDocuments(scene, place, [documentOf('new')]);
    expect(await reader.metadata({ ...place, id: 'new' })).toMatchObject({ id: 'new' });
  });

  it('does not decrypt a late response of S3, and frees its connection', async () => {
    let refusal: SealdexError | undefined;
    let isEnded = false;
    async function* late(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from('one');
        refusal = new SealdexError('KEY_DISABLED');
        yield Buffer.from('two');
      } finally {
        isEnded = true;
      }
    }
    const gates = { refusal: () => refusal, refresh: () => undefined };
    const bytes = gatedBytes(late(), watchGates({ gates, ring: {} as never }, {} as never).ensureOpen);
    expect((await bytes.next()).value?.toString()).toBe('one');
    expect(await refusalOf(() => bytes.next())).toBe(refusal);
    expect(isEnded).toBe(true);
  });

  it('continues if only the process was frozen, after it has read the gates again', async () => {
    let isUnknown = true;
    const gates = {
      refusal: () => (isUnknown ? new SealdexError('GATE_UNKNOWN') : undefined),
      refresh: async () => void (isUnknown = false),
    };
    expect(await watchGates({ gates, ring: {} as never }, {} as never).ensureOpen()).toBeUndefined();
  });
});

describe('a reader that receives the first denial', () => {
  it('shuts the gate for all: the next read makes no call, in another reader neither', async () => {
    const { arn, place } = await stored();
    const [reader, other] = [await scene.reader(), await scene.reader()];
    kms.faults.set({ match: { key: arn }, fault: KMS_ERRORS.accessDenied });
    expect(await refusalOf(() => reader.metadata(place))).toMatchObject({ code: 'KEY_DENIED' });
    kms.counts.reset();
    const refused = { code: 'KEY_DENIED', keyArn: arn, since: expect.any(Number) as number };
    expect(await refusalOf(() => reader.open(place))).toMatchObject(refused);
    await eventually(async () => {
      expect(await refusalOf(() => other.open(place))).toMatchObject(refused);
      return kms.counts.count({ key: arn }) <= 1;
    });
    const calls = kms.counts.count({ key: arn });
    expect(await refusalOf(() => other.metadata(place))).toMatchObject(refused);
    expect(kms.counts.count({ key: arn })).toBe(calls);
  });
});

describe('an unknown gate', () => {
  it('rejects all reads with a key as GATE_UNKNOWN before an S3 request, and the plain list works', async () => {
    const { tenant } = await stored();
    const never = (): never => expect.unreachable('Neither a key nor an object is asked for.');
    const owner = { tenant } as never;
    const reader = createReaderFrom(
      {
        store: { ...scene.store, get: never },
        ring: { unwrap: never } as never,
        tenants: { get: async () => owner } as never,
        gates: { refusal: () => new SealdexError('GATE_UNKNOWN'), refresh: () => undefined },
      },
      () => {},
    );
    const place = { tenant, corpus: 'docs', id: 'one' };
    for (const call of [
      () => reader.metadata(place),
      () => reader.open(place),
      () => reader.list({ tenant, corpus: 'docs', metadata: true }),
    ])
      expect(await refusalOf(call)).toMatchObject({ code: 'GATE_UNKNOWN' });
    expect((await reader.list({ tenant, corpus: 'docs' })).documents).toHaveLength(2);
  });
});
