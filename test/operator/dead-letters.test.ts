// Dead letters of a complete installation: their content in S3, and replayed documents.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Producer } from '../../src/producer/producer.ts';
import { codeOf, documentOf, ended, objectAt, openScene, type Scene } from '../producer/fixture.ts';

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_INLINE_BYTES: 0 });
  await scene.tenant('acme');
  producer = await scene.producer();
});
afterAll(() => scene[Symbol.asyncDispose]());

interface Lost {
  readonly jobId: string;
  /** Restores the content. */
  restore(): Promise<void>;
}

/** Jobs with their content removed before a worker starts: dead letters `CONTENT_MISSING`. */
async function lost(...documents: string[]): Promise<Lost[]> {
  const jobs: Lost[] = [];
  for (const id of documents) {
    const { jobId } = await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf(id) });
    const [key = ''] = await scene.keysOf(`intake/acme/${jobId}/`);
    const { metadata, bytes } = await objectAt(scene.store, key);
    await scene.store.remove(key);
    jobs.push({ jobId, restore: async () => void (await scene.store.put(key, bytes, { metadata })) });
  }
  const stop = await scene.work();
  for (const { jobId } of jobs) await ended(producer, jobId, 'dead');
  await stop();
  return jobs;
}

test('replay stores valid jobs, reports older revisions as superseded, and keeps the rest', async () => {
  const jobs = await lost('mended', 'overtaken', 'still missing');
  const stop = await scene.work();
  const newer = await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf('overtaken', 500) });
  await ended(producer, newer.jobId);
  await jobs[0]?.restore();
  expect(await scene.operator.replay({ tenant: 'acme', code: 'CONTENT_MISSING' })).toEqual({
    sent: 3,
    alreadyTaken: 0,
    tooOld: 0,
    stored: 1,
    superseded: 1,
    deadAgain: new Map([['CONTENT_MISSING', 1]]),
    unknown: 0,
    underWay: 0,
  });
  const states = await Promise.all(jobs.map(async ({ jobId }) => (await producer.status(jobId)).state));
  expect(states).toEqual(['done', 'superseded', 'dead']);
  const reader = await scene.reader();
  expect(await reader.metadata({ tenant: 'acme', corpus: 'docs', id: 'overtaken' })).toMatchObject({
    revision: newer.revision,
  });
  await stop();
  const { letters } = await scene.operator.deadList({ tenant: 'acme' }, { limit: 10 });
  expect(letters.map(({ jobId }) => jobId)).toEqual([jobs[2]?.jobId]);
  await scene.operator.discard({});
});

test('discard deletes the content in S3 with the dead letter, and leaves other objects there', async () => {
  const [one, other] = await lost('discarded', 'kept');
  await one?.restore();
  await other?.restore();
  expect(await scene.keysOf('intake/acme/')).toHaveLength(2);
  expect(await scene.operator.discard({ jobIds: [one?.jobId ?? ''] })).toEqual({
    discarded: 1,
    alreadyTaken: 0,
    contentLeft: 0,
  });
  expect(await scene.keysOf('intake/acme/')).toEqual([expect.stringContaining(other?.jobId ?? '-')]);
  expect(await scene.operator.deadShow(one?.jobId ?? '')).toBeUndefined();
  expect(await scene.operator.deadShow(other?.jobId ?? '')).toMatchObject({ tenant: 'acme', code: 'CONTENT_MISSING' });
  await scene.operator.discard({});
});

test('a list continues exactly at the end of the last page', async () => {
  const jobs = await lost('a', 'b', 'c');
  const first = await scene.operator.deadList({}, { limit: 2 });
  const second = await scene.operator.deadList({}, { limit: 2, after: first.next });
  expect([...first.letters, ...second.letters].map(({ jobId }) => jobId).sort()).toEqual(
    jobs.map(({ jobId }) => jobId).sort(),
  );
  expect(second.next).toBeUndefined();
  expect(await scene.operator.deadTally({})).toEqual(new Map([['CONTENT_MISSING', 3]]));
  for (const after of ['', 'x', '12', '12:', ':j', '12:%', '12:%E0%A4%A'])
    expect(await codeOf(() => scene.operator.deadList({}, { limit: 1, after }))).toBe('DOCUMENT_INVALID');
});
