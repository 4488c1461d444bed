// Upload jobs whose content is gone, and jobs for one document that cross: what is stored, and which file is kept beside it.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { putFile, removeContent } from '../../src/intake.ts';
import { newJobId, type UploadJobData } from '../../src/jobs.ts';
import type { Store } from '../../src/store/s3.ts';
import { documentOf, keysUnder } from '../journey/house.ts';
import { openWorkRoom, type WorkRoom } from './room.ts';

interface Job {
  readonly id: string;
  readonly data: UploadJobData;
}

const DONE = { kind: 'done' };
const SUPERSEDED = { kind: 'done', superseded: true };

const opened = new AsyncDisposableStack();
let room: WorkRoom;
let keyArn: string;
let tenant: string;
let count = 0;

beforeAll(async () => {
  room = opened.use(await openWorkRoom());
});

afterAll(() => opened.disposeAsync());

beforeEach(async () => {
  count += 1;
  tenant = `tenant-${count}`;
  keyArn = await room.house.tenant(tenant);
  await room.house.operator.putTenant(tenant, { keepOriginals: true });
});

async function uploadJob(revision: number, text = `Text of revision ${revision}.`): Promise<Job> {
  const { ring, store, config } = room.deps;
  const id = newJobId();
  const place = { tenant, corpus: 'docs', revision } as const;
  const said = { documentId: 'doc', filename: 'doc.txt', ifExists: 'replace' } as const;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  }
  const { object, content } = await putFile(
    { ring, store, inlineBytes: 0, platformKeyArn: config.platformKeyArn, refusal: () => undefined },
    { tenant, keyArn, whenKeyShut: 'refuse', blocked: new Map() },
    { v: 1, ...place, ...said, job: id, kind: 'upload' },
    { chunks: chunks(), bytesMax: 1000 },
  );
  return { id, data: { v: 1, kind: 'upload', ...place, object, content } };
}

const forget = ({ id, data }: Job): Promise<void> =>
  removeContent(room.house.store, { id, tenant, content: data.content });

const kept = (): Promise<string[]> => keysUnder(room.house.store, `originals/${tenant}/`);

async function revisionKept(): Promise<number> {
  const { original } = await room.house.reader.original({ tenant, corpus: 'docs', id: 'doc' });
  return original.revision;
}

test('an upload whose content is gone and of which nothing is stored is dead', async () => {
  const job = await uploadJob(1);
  await forget(job);
  expect(await room.handle(job)).toEqual({ kind: 'dead', code: 'CONTENT_MISSING' });
});

test('an upload whose content is gone because it was done is done, and its file stays', async () => {
  const job = await uploadJob(1);
  expect(await room.handle(job)).toEqual(DONE);
  await forget(job);
  expect(await room.handle(job)).toEqual(DONE);
  expect(await revisionKept()).toBe(1);
});

test('an upload whose content is gone is superseded by a newer document, whose file stays', async () => {
  const older = await uploadJob(1);
  expect(await room.handle(await uploadJob(2))).toEqual(DONE);
  await forget(older);
  expect(await room.handle(older)).toEqual(SUPERSEDED);
  expect(await revisionKept()).toBe(2);
});

test('an older upload that comes late is superseded, and leaves the file of the newer one alone', async () => {
  const older = await uploadJob(1);
  expect(await room.handle(await uploadJob(2))).toEqual(DONE);
  expect(await room.handle(older)).toEqual(SUPERSEDED);
  expect(await revisionKept()).toBe(2);
});

/** Does something else once, when a job has stored its document and not yet its file. */
function crossing(meanwhile: () => Promise<unknown>): Store {
  const { store } = room.deps;
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
  const header = { documentId: 'doc', revision: 2 };
  const { id, data } = await room.forge.forge({
    tenant,
    keyArn,
    header,
    body: JSON.stringify(documentOf('doc', 'Indexed.')),
  });
  const index = { id, data: { ...data, revision: 2 } };
  const store = crossing(async () => expect(await room.handle(index)).toEqual(DONE));
  expect(await room.handle(upload, { deps: { store } })).toEqual(DONE);
  expect(await kept()).toEqual([]);
});

test('a deletion between the document and the file of an upload leaves no file behind', async () => {
  const upload = await uploadJob(1);
  const { corpus, object } = upload.data;
  const deletion = { id: newJobId(), data: { v: 1, kind: 'delete', tenant, corpus, object, revision: 2 } };
  const store = crossing(async () => expect(await room.handle(deletion)).toEqual(DONE));
  expect(await room.handle(upload, { deps: { store } })).toEqual(DONE);
  expect(await kept()).toEqual([]);
});

test('a newer upload between the document and the file of an older one keeps its own file', async () => {
  const older = await uploadJob(1);
  const newer = await uploadJob(2);
  const store = crossing(async () => expect(await room.handle(newer)).toEqual(DONE));
  expect(await room.handle(older, { deps: { store } })).toEqual(DONE);
  expect(await revisionKept()).toBe(2);
});

test('an upload that ended between its document and its file stores the file when it comes back', async () => {
  const job = await uploadJob(1);
  const store = crossing(() => Promise.reject(new Error('the process is gone')));
  expect(await room.handle(job, { deps: { store } })).toMatchObject({ kind: 'retry' });
  expect(await kept()).toEqual([]);
  expect(await room.handle(job)).toEqual(DONE);
  expect(await revisionKept()).toBe(1);
});
