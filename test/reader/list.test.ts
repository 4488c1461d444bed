// Listing a corpus: pages in order, tombstones, metadata on request, and the error of one document on its line.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KMS_ERRORS, S3_ERRORS } from '@sealdex/local-aws';
import type { ListedDocument, ListRequest, Reader } from '../../src/reader/reader.ts';
import { objectName } from '../../src/runtime/names.ts';
import { eventually } from '../support/eventually.ts';
import { setGate } from '../support/gate.ts';
import { codeOf, documentOf, openScene, refusalOf, type Scene } from '../producer/fixture.ts';
import { copy, keyOf, overwrite, storeDocuments } from './fixture.ts';

const PLACE = { tenant: 'acme', corpus: 'docs' };
const IDS = Array.from({ length: 25 }, (_, index) => `doc-${index}`);
const OBJECTS = IDS.map(objectName).sort();

let scene: Scene;
let reader: Reader;
let keyArn: string;
let revisions: Map<string, number>;

beforeAll(async () => {
  scene = await openScene();
  keyArn = await scene.tenant('acme');
  const jobs = await storeDocuments(
    scene,
    PLACE,
    IDS.map((id) => documentOf(id)),
  );
  revisions = new Map(IDS.map((id, index) => [objectName(id), jobs[index]!.revision]));
  await storeDocuments(scene, { ...PLACE, corpus: 'docs-2' }, [documentOf('elsewhere')]);
  reader = await scene.reader();
});
afterAll(() => scene[Symbol.asyncDispose]());

async function listAll(request: ListRequest): Promise<{ documents: ListedDocument[]; pages: number }> {
  const documents: ListedDocument[] = [];
  for (let after: string | undefined, pages = 1; ; pages++) {
    const page = await reader.list({ ...request, after });
    documents.push(...page.documents);
    if (page.next === undefined) return { documents, pages };
    after = page.next;
  }
}

describe('a list', () => {
  it('has object, revision and size of every document of the corpus, and of no other', async () => {
    const { documents, next } = await reader.list(PLACE);
    expect(next).toBeUndefined();
    expect(documents.map(({ object }) => object)).toEqual(OBJECTS);
    for (const { object, ...facts } of documents)
      expect(facts).toEqual({ revision: revisions.get(object), bytes: expect.any(Number) as number, isDeleted: false });
  });

  it.each([1, 7, 24, 25, 26])('is the same in pages of %i, with each document once', async (limit) => {
    const { documents, pages } = await listAll({ ...PLACE, limit });
    expect(documents.map(({ object }) => object)).toEqual(OBJECTS);
    expect(pages).toBe(Math.ceil(IDS.length / limit));
  });

  it('has the metadata of each document if requested, with one request per document', async () => {
    scene.services.s3.requests.reset();
    const { documents } = await reader.list({ ...PLACE, metadata: true });
    expect(new Set(documents.map(({ document }) => document?.id))).toEqual(new Set(IDS));
    for (const { object, document } of documents) expect(objectName(document?.id ?? '')).toBe(object);
    const { requests } = scene.services.s3;
    expect(requests.count({ method: 'GET', prefix: 'documents/', kind: 'object' })).toBe(IDS.length);
    expect(requests.count({ method: 'HEAD' })).toBe(0);
  });

  it('makes no KMS call without metadata, and is empty for an empty or unknown corpus', async () => {
    scene.services.kms.counts.reset();
    const fresh = await scene.reader();
    expect((await fresh.list(PLACE)).documents).toHaveLength(IDS.length);
    expect(await fresh.list({ ...PLACE, corpus: 'empty' })).toEqual({ documents: [] });
    expect(scene.services.kms.counts.all()).toEqual([]);
  });

  it('continues after a position between two documents with the next one', async () => {
    const { documents } = await reader.list({ ...PLACE, after: `${OBJECTS[3]}0` });
    expect(documents.map(({ object }) => object)).toEqual(OBJECTS.slice(4));
    expect(await reader.list({ ...PLACE, after: '../../x' })).toMatchObject({ documents: { length: IDS.length } });
    expect(await reader.list({ ...PLACE, after: 'z' })).toEqual({ documents: [] });
  });
});

describe('a line of the list', () => {
  const corpus = 'special';
  const place = { ...PLACE, corpus };

  beforeAll(async () => {
    const [gone] = await storeDocuments(
      scene,
      place,
      ['gone', 'fine', 'copied', 'changed'].map((id) => documentOf(id)),
    );
    const metadata = { revision: String(gone!.revision + 1), 'job-id': gone!.jobId, v: '1', deleted: '1' };
    await overwrite(scene, keyOf({ ...place, id: 'gone' }), { bytes: Buffer.alloc(0), metadata });
    await copy(scene, keyOf({ ...place, id: 'fine' }), keyOf({ ...place, id: 'copied' }));
    await overwrite(scene, keyOf({ ...place, id: 'changed' }), { bytes: Buffer.from('garbage') });
    await overwrite(scene, `documents/acme/${corpus}/not-ours`, { bytes: Buffer.from('garbage'), metadata: {} });
  });

  const byObject = (documents: readonly ListedDocument[], id: string): ListedDocument | undefined =>
    documents.find(({ object }) => object === objectName(id));

  it.each([false, true])('shows a deleted document as deleted, with its revision (metadata: %s)', async (metadata) => {
    const { documents } = await reader.list({ ...place, metadata });
    expect(documents).toHaveLength(5);
    const gone = byObject(documents, 'gone');
    expect(gone).toEqual({
      object: objectName('gone'),
      revision: expect.any(Number) as number,
      bytes: 0,
      isDeleted: true,
    });
    expect(gone!.revision).toBeGreaterThan(0);
  });

  it('has the code of an unreadable document, and the others are complete', async () => {
    const { documents } = await reader.list({ ...place, metadata: true });
    expect(byObject(documents, 'fine')?.document).toMatchObject({ id: 'fine' });
    expect(byObject(documents, 'copied')).toMatchObject({ code: 'OBJECT_MISMATCH' });
    expect(byObject(documents, 'changed')).toMatchObject({ code: 'OBJECT_TAMPERED' });
    expect(documents.find(({ object }) => object === 'not-ours')).toMatchObject({
      revision: 0,
      code: 'OBJECT_TAMPERED',
    });
    for (const { code, document } of documents) expect(code === undefined || document === undefined).toBe(true);
  });
});

describe('a rejected list', () => {
  it.each<readonly [string, unknown, string]>([
    ['nothing', undefined, 'request'],
    ['a wrong tenant', { ...PLACE, tenant: 'a/b' }, 'tenant'],
    ['a wrong corpus', { ...PLACE, corpus: '..' }, 'corpus'],
    ['limit 0', { ...PLACE, limit: 0 }, 'limit'],
    ['limit 1,001', { ...PLACE, limit: 1001 }, 'limit'],
    ['a limit in text', { ...PLACE, limit: '10' }, 'limit'],
    ['an empty place', { ...PLACE, after: '' }, 'after'],
    ['a place of 1,025 characters', { ...PLACE, after: 'x'.repeat(1025) }, 'after'],
    ['a place with a lone surrogate', { ...PLACE, after: '\ud800' }, 'after'],
    ['metadata in text', { ...PLACE, metadata: 'yes' }, 'metadata'],
  ])('names the field: %s', async (_, request, field) => {
    const error = await refusalOf(() => reader.list(request as ListRequest));
    expect(error).toMatchObject({ code: 'DOCUMENT_INVALID', field });
  });

  it('is TENANT_UNKNOWN for an unknown tenant', async () => {
    expect(await codeOf(() => reader.list({ ...PLACE, tenant: 'nobody' }))).toBe('TENANT_UNKNOWN');
  });

  it('has one error for an outage, not one per line; a shut key is on the lines', async () => {
    const fresh = await scene.reader();
    await fresh.list(PLACE);
    const fault = scene.services.s3.faults.set({ match: { prefix: 'documents/' }, fault: S3_ERRORS.accessDenied });
    expect(await codeOf(() => fresh.list(PLACE))).toBe('STORE_FAILED');
    expect(await codeOf(() => fresh.list({ ...PLACE, metadata: true }))).toBe('STORE_FAILED');
    fault.clear();
    const { faults } = scene.services.kms;
    const failing = faults.set({ fault: KMS_ERRORS.internal });
    expect(await codeOf(() => fresh.list({ ...PLACE, metadata: true }))).toBe('KMS_FAILED');
    failing.clear();
    const denied = faults.set({ fault: KMS_ERRORS.accessDenied });
    const { documents } = await fresh.list({ ...PLACE, metadata: true });
    expect(documents.map(({ code }) => code)).toEqual(IDS.map(() => 'KEY_DENIED'));
    denied.clear();
    await setGate({ redis: scene.redis, queue: scene.config.queue }, PLACE.tenant, keyArn, { state: 'open' });
    await eventually(async () =>
      (await fresh.list({ ...PLACE, metadata: true })).documents.every(({ document }) => document),
    );
  });
});
