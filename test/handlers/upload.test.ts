// Upload jobs without content, and parallel jobs for one document: the stored document and its original file.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { putFile } from '../../src/intake/intake.ts';
import { intakePlace } from '../../src/jobs/jobs.ts';
import { removeIntake } from '../../src/store/intake.ts';
import { newJobId, type UploadJobData } from '../../src/jobs/jobs.ts';
import { createReaderFrom } from '../../src/reader/reader.ts';
import type { Store } from '../../src/store/store.ts';
import { documentOf, keysUnder } from '../support/documents.ts';
import { openHandlerFixture, type HandlerFixture } from './fixture.ts';

interface Job {
  readonly id: string;
  readonly data: UploadJobData;
}

const DONE = { kind: 'done' };
const SUPERSEDED = { kind: 'done', superseded: true };

const tenant = 'acme';
let fixture: HandlerFixture;
let keyArn: string;

beforeEach(async () => {
  fixture = await openHandlerFixture();
  keyArn = await fixture.tenant(tenant, { keepOriginals: true });
});

afterEach(() => fixture[Symbol.dispose]());

async function uploadJob(
  revision: number,
  { ifExists = 'replace' }: { ifExists?: 'replace' | 'reject' } = {},
): Promise<Job> {
  const text = `Text of revision ${revision}.`;
  const { ring, store, config } = fixture.deps;
  const id = newJobId();
  const place = { tenant, corpus: 'docs', revision } as const;
  const fileHeader = { documentId: 'doc', filename: 'doc.txt', ifExists } as const;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  }
  const { object, content } = await putFile(
    {
      ring,
      store,
      queue: config.queue,
      inlineBytes: 0,
      platformKeyArn: config.platformKeyArn,
      refusal: () => undefined,
    },
    { ...keyRef(tenant, keyArn), whenKeyShut: 'refuse', blocked: new Map() },
    { v: 1, ...place, ...fileHeader, job: id, kind: 'upload' },
    { chunks: chunks(), bytesMax: 1000 },
  );
  return { id, data: { v: 1, kind: 'upload', ...place, object, content } };
}

async function indexJob(revision: number): Promise<{ id: string; data: object }> {
  const header = { documentId: 'doc', revision };
  const body = JSON.stringify(documentOf('doc', 'Indexed.'));
  const { id, data } = await fixture.forge({ tenant, keyArn, header, body });
  return { id, data: { ...data, revision } };
}

const forget = ({ id, data }: Job): Promise<void> =>
  removeIntake(fixture.deps.store, intakePlace(fixture.deps.config.queue, id, data, data.content));

const kept = (): Promise<string[]> => keysUnder(fixture.deps.store, `originals/${tenant}/`);

async function revisionKept(): Promise<number> {
  const { store, ring, tenants } = fixture.deps;
  const gates = { refusal: () => undefined, refresh: () => undefined };
  const reader = createReaderFrom({ store, ring, tenants, gates }, () => {});
  const { original } = await reader.original({ tenant, corpus: 'docs', id: 'doc' });
  return original.revision;
}

test('an upload without its content and without a stored document is dead', async () => {
  const job = await uploadJob(1);
  await forget(job);
  expect(await fixture.handle(job)).toEqual({ kind: 'dead', code: 'CONTENT_MISSING' });
});

test('an upload without its content is done if it was stored before, and its file stays', async () => {
  const job = await uploadJob(1);
  expect(await fixture.handle(job)).toEqual(DONE);
  await forget(job);
  expect(await fixture.handle(job)).toEqual(DONE);
  expect(await revisionKept()).toBe(1);
});

test('an upload without its content is superseded by a newer document with its file', async () => {
  const older = await uploadJob(1);
  expect(await fixture.handle(await uploadJob(2))).toEqual(DONE);
  await forget(older);
  expect(await fixture.handle(older)).toEqual(SUPERSEDED);
  expect(await revisionKept()).toBe(2);
});

test('a late older upload is superseded, and does not change the file of the newer one', async () => {
  const older = await uploadJob(1);
  expect(await fixture.handle(await uploadJob(2))).toEqual(DONE);
  expect(await fixture.handle(older)).toEqual(SUPERSEDED);
  expect(await revisionKept()).toBe(2);
});

/** Runs another action once, when a job has stored its document and not yet its file. */
function crossing(meanwhile: () => Promise<unknown>): Store {
  const { store } = fixture.deps;
  let isDone = false;
  return {
    ...store,
    async put(key, ...rest) {
      if (key.startsWith('originals/') && !isDone) {
        isDone = true;
        await meanwhile();
      }
      return store.put(key, ...rest);
    },
  };
}

test('a newer index job between the document and the file of an upload leaves no file behind', async () => {
  const upload = await uploadJob(1);
  const index = await indexJob(2);
  const store = crossing(async () => expect(await fixture.handle(index)).toEqual(DONE));
  expect(await fixture.handle(upload, { deps: { store } })).toEqual(DONE);
  expect(await kept()).toEqual([]);
});

test('a deletion between the document and the file of an upload leaves no file behind', async () => {
  const upload = await uploadJob(1);
  const { corpus, object } = upload.data;
  const deletion = { id: newJobId(), data: { v: 1, kind: 'delete', tenant, corpus, object, revision: 2 } };
  const store = crossing(async () => expect(await fixture.handle(deletion)).toEqual(DONE));
  expect(await fixture.handle(upload, { deps: { store } })).toEqual(DONE);
  expect(await kept()).toEqual([]);
});

test('a newer upload between the document and the file of an older one keeps its own file', async () => {
  const older = await uploadJob(1);
  const newer = await uploadJob(2);
  const store = crossing(async () => expect(await fixture.handle(newer)).toEqual(DONE));
  expect(await fixture.handle(older, { deps: { store } })).toEqual(DONE);
  expect(await revisionKept()).toBe(2);
});

test('an upload interrupted between its document and its file stores the file in its next run', async () => {
  const job = await uploadJob(1);
  const store = crossing(() => Promise.reject(new Error('the process is gone')));
  expect(await fixture.handle(job, { deps: { store } })).toMatchObject({ kind: 'retry' });
  expect(await kept()).toEqual([]);
  expect(await fixture.handle(job)).toEqual(DONE);
  expect(await revisionKept()).toBe(1);
});

/** Stores the file of an upload after another action, and ends before it reads the document again. */
function dying(meanwhile: () => Promise<unknown>): Store {
  const store = crossing(meanwhile);
  let hasStored = false;
  return {
    ...store,
    async put(key, ...rest) {
      const answer = await store.put(key, ...rest);
      hasStored ||= key.startsWith('originals/');
      return answer;
    },
    async head(key, ...rest) {
      if (hasStored) throw new Error('the process is gone');
      return store.head(key, ...rest);
    },
  };
}

test('an upload interrupted after its file, parallel to a deletion, deletes the file in its next run', async () => {
  const upload = await uploadJob(1);
  const { corpus, object } = upload.data;
  const deletion = { id: newJobId(), data: { v: 1, kind: 'delete', tenant, corpus, object, revision: 2 } };
  const store = dying(async () => expect(await fixture.handle(deletion)).toEqual(DONE));
  expect(await fixture.handle(upload, { deps: { store } })).toMatchObject({ kind: 'retry' });
  expect(await kept()).toHaveLength(1);
  await expect(revisionKept()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await fixture.handle(upload)).toEqual(SUPERSEDED);
  expect(await kept()).toEqual([]);
});

test('an upload with ifExists: reject deletes its own file if its next run finds another job’s document', async () => {
  const upload = await uploadJob(1, { ifExists: 'reject' });
  const store = dying(async () => expect(await fixture.handle(await indexJob(2))).toEqual(DONE));
  expect(await fixture.handle(upload, { deps: { store } })).toMatchObject({ kind: 'retry' });
  expect(await kept()).toHaveLength(1);
  expect(await fixture.handle(upload)).toEqual({ kind: 'dead', code: 'DOCUMENT_CONFLICT' });
  expect(await kept()).toEqual([]);
});

test('an upload with ifExists: reject does not change the file of the existing document', async () => {
  expect(await fixture.handle(await uploadJob(1))).toEqual(DONE);
  const conflict = { kind: 'dead', code: 'DOCUMENT_CONFLICT' };
  expect(await fixture.handle(await uploadJob(2, { ifExists: 'reject' }))).toEqual(conflict);
  expect(await revisionKept()).toBe(1);
});

test('a deletion that fails to delete the file is retried', async () => {
  const upload = await uploadJob(1);
  expect(await fixture.handle(upload)).toEqual(DONE);
  const { corpus, object } = upload.data;
  const deletion = { id: newJobId(), data: { v: 1, kind: 'delete', tenant, corpus, object, revision: 2 } };
  const store: Store = { ...fixture.deps.store, remove: async () => 'changed' };
  expect(await fixture.handle(deletion, { deps: { store } })).toMatchObject({ kind: 'retry', code: 'STORE_FAILED' });
  expect(await fixture.handle(deletion)).toEqual(DONE);
  expect(await kept()).toEqual([]);
});
