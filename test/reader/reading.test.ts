// Reading a stored document: the head without the text, then parts, tables and images in order, as a stream.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReader } from '../../src/app/app.ts';
import type { RecordItem } from '../../src/documents/record.ts';
import type { OpenDocument, Reader } from '../../src/reader/reader.ts';
import { codeOf, documentOf, openScene, refusalOf, type Scene } from '../producer/fixture.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { keyOf, overwrite, storeDocuments } from './fixture.ts';
import { startSlowS3, type SlowS3 } from './slow-s3.ts';

const PLACE = { tenant: 'acme', corpus: 'docs' };
const table = (id: string) => ({ id, data: { headers: [[{ text_value: 'H' }]], rows: [[{ int_value: 1 }]] } });
const image = (id: string) => ({ id, image_data: { data: 'aGVsbG8=', mime_type: 'image/png' } });
const structured = {
  type: 'structured',
  id: 'report ü 🦓',
  title: 'A report',
  description: 'What happened',
  metadata: { year: 2026, nested: { list: [1, null, 'x'] } },
  custom_dimensions: { weight: 0.5 },
  sections: [
    {
      id: 7,
      title: 'One',
      text: 'First. Second.',
      metadata: { owner: 'ops' },
      tables: [table('t1')],
      images: [image('i1')],
    },
    { title: 'Two', text: 'Third.', tables: [table('t2')], sections: [{ text: 'Fourth.', images: [image('i2')] }] },
  ],
};
const core = {
  type: 'core',
  id: 'core',
  metadata: { kind: 'note' },
  tables: [table('t3')],
  images: [image('i3')],
  document_parts: [
    { text: 'One.', metadata: { n: 1 }, context: 'Before.', custom_dimensions: { boost: 2 }, table_id: 't3' },
    { text: 'Two.', image_id: 'i3' },
  ],
};
/** About 8 MB in more than 20 frames, so that no buffer on the way holds all of it. */
const large = documentOf('large', 8_000_000, {
  chunking_strategy: { type: 'max_chars_chunking_strategy', max_chars_per_chunk: 1000 },
});

let scene: Scene;
let reader: Reader;
let revisions: number[];

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
  revisions = (await storeDocuments(scene, PLACE, [structured, core, large])).map(({ revision }) => revision);
  reader = await scene.reader();
});
afterAll(() => scene[Symbol.asyncDispose]());

async function itemsOf({ parts }: OpenDocument): Promise<RecordItem[]> {
  const items: RecordItem[] = [];
  for await (const item of parts) items.push(item);
  return items;
}

describe('a stored document', () => {
  it('returns all accepted metadata, and the counts of parts, tables and images', async () => {
    const { sections: _, ...structuredHead } = structured;
    expect(await reader.metadata({ ...PLACE, id: structured.id })).toEqual({
      v: 1,
      ...PLACE,
      ...structuredHead,
      revision: revisions[0],
      parts: 6,
      tables: 2,
      images: 2,
    });
    const { document_parts: __, tables: ___, images: ____, ...coreHead } = core;
    expect(await reader.metadata({ ...PLACE, id: 'core' })).toEqual({
      v: 1,
      ...PLACE,
      ...coreHead,
      revision: revisions[1],
      parts: 2,
      tables: 1,
      images: 1,
    });
  });

  it('returns parts, then tables, then images, in the order of the document', async () => {
    const opened = await reader.open({ ...PLACE, id: structured.id });
    expect(opened.document).toEqual(await reader.metadata({ ...PLACE, id: structured.id }));
    const items = await itemsOf(opened);
    expect(items.slice(0, 6).map((item) => 'text' in item && item.text.trim())).toEqual([
      'One',
      'First.',
      'Second.',
      'Two',
      'Third.',
      'Fourth.',
    ]);
    expect(items[1]).toMatchObject({ metadata: { section: 7, title: 'One', owner: 'ops', is_title: false } });
    expect(items.slice(6)).toEqual([
      { table: table('t1') },
      { table: table('t2') },
      { image: image('i1') },
      { image: image('i2') },
    ]);
  });

  it('with the core type returns its parts unchanged', async () => {
    const [first = {}, second = {}] = core.document_parts;
    expect(await itemsOf(await reader.open({ ...PLACE, id: 'core' }))).toEqual([
      first,
      { metadata: {}, ...second },
      { table: table('t3') },
      { image: image('i3') },
    ]);
  });

  it('with 8 MB streams to its end, regardless of the speed of its consumer', async () => {
    const opened = await reader.open({ ...PLACE, id: 'large' });
    let parts = 0;
    for await (const part of opened.parts) {
      if ('text' in part) parts += 1;
      // Long enough to fill every buffer between S3 and the reader.
      if (parts === 10) await reader.metadata({ ...PLACE, id: 'core' });
    }
    expect(parts).toBe(opened.document.parts);
    expect(parts).toBeGreaterThan(5000);
  });
});

describe('a missing document', () => {
  it.each(['nothing', '', 'x'.repeat(1025), 'a\ud800'])(
    'is NOT_FOUND, or rejected for an invalid id: %#',
    async (id) => {
      const code = id === 'nothing' ? 'NOT_FOUND' : 'DOCUMENT_INVALID';
      expect(await codeOf(() => reader.metadata({ ...PLACE, id }))).toBe(code);
      expect(await codeOf(() => reader.open({ ...PLACE, id }))).toBe(code);
    },
  );

  it('is NOT_FOUND if it is in another corpus or tenant', async () => {
    await scene.tenant('other');
    expect(await codeOf(() => reader.metadata({ ...PLACE, corpus: 'more', id: 'core' }))).toBe('NOT_FOUND');
    expect(await codeOf(() => reader.metadata({ ...PLACE, tenant: 'other', id: 'core' }))).toBe('NOT_FOUND');
    expect(await codeOf(() => reader.metadata({ ...PLACE, tenant: 'nobody', id: 'core' }))).toBe('TENANT_UNKNOWN');
  });

  it('is rejected with the field for an invalid name, before any request', async () => {
    const names: readonly (readonly [unknown, string])[] = [
      [undefined, 'request'],
      [null, 'request'],
      ['acme', 'request'],
      [{ ...PLACE, tenant: '../acme', id: 'x' }, 'tenant'],
      [{ ...PLACE, corpus: '', id: 'x' }, 'corpus'],
      [{ ...PLACE, id: 7 }, 'id'],
    ];
    scene.services.s3.requests.reset();
    for (const [name, field] of names) {
      const error = await refusalOf(() => reader.open(name as typeof PLACE & { id: string }));
      expect(error).toMatchObject({ code: 'DOCUMENT_INVALID', field });
    }
    expect(scene.services.s3.requests.count()).toBe(0);
  });

  it('is NOT_FOUND after its deletion, though its tombstone exists', async () => {
    const [job] = await storeDocuments(scene, PLACE, [documentOf('deleted')]);
    const metadata = { revision: String(job!.revision + 1), 'job-id': job!.jobId, v: '1', deleted: '1' };
    await overwrite(scene, keyOf({ ...PLACE, id: 'deleted' }), { bytes: Buffer.alloc(0), metadata });
    expect(await codeOf(() => reader.metadata({ ...PLACE, id: 'deleted' }))).toBe('NOT_FOUND');
    expect(await codeOf(() => reader.open({ ...PLACE, id: 'deleted' }))).toBe('NOT_FOUND');
  });
});

describe('a connection that delivers only the beginning', () => {
  const GIVEN_BYTES = 200_000;
  let slow: SlowS3;
  let slowReader: Reader;

  beforeAll(async () => {
    slow = await startSlowS3(scene.services.s3.endpoint, GIVEN_BYTES);
    slowReader = await scene.reader({ AWS_ENDPOINT_URL_S3: slow.endpoint });
  });
  afterAll(() => slow.stop());

  it('is enough for metadata: data after the head need not arrive', async () => {
    expect(await slowReader.metadata({ ...PLACE, id: 'large' })).toMatchObject({
      id: 'large',
      title: 'Title of large',
    });
    expect(slow.held).toBe(1);
  });

  it('delivers parts as they arrive, and is freed at once when the loop ends early', async () => {
    const before = slow.held;
    const { parts } = await slowReader.open({ ...PLACE, id: 'large' });
    let count = 0;
    for await (const _ of parts) if ((count += 1) === 20) break;
    expect(count).toBe(20);
    expect(slow.held).toBe(before + 1);
    await slow.allGone();
  });

  it('ends with a typed error after silence in the middle of a text', async () => {
    using _real = realDeadlines({ promptMs: 5000 });
    const prompt = await scene.reader({ AWS_ENDPOINT_URL_S3: slow.endpoint });
    const { parts } = await prompt.open({ ...PLACE, id: 'large' });
    const read = async (): Promise<void> => {
      for await (const _ of parts);
    };
    expect(await codeOf(read)).toBe('STORE_FAILED');
    await slow.allGone();
  });
});

describe('connections', () => {
  it('are freed by leaving the loop, by disposing and by reading metadata: 200 reads in a row work', async () => {
    const few = await scene.reader({ SEALDEX_CONCURRENCY: 1 });
    for (let round = 0; round < 50; round++) {
      const left = await few.open({ ...PLACE, id: 'large' });
      for await (const _ of left.parts) break;
      const disposed = await few.open({ ...PLACE, id: 'large' });
      await disposed[Symbol.asyncDispose]();
      await disposed[Symbol.asyncDispose]();
      const begun = await few.open({ ...PLACE, id: 'large' });
      await begun.parts[Symbol.asyncIterator]().next();
      await begun[Symbol.asyncDispose]();
      await few.metadata({ ...PLACE, id: 'large' });
    }
    expect(await few.metadata({ ...PLACE, id: 'core' })).toMatchObject({ id: 'core' });
  });

  it('end with the reader, which can be closed twice and rejects later calls', async () => {
    const ending = await scene.reader();
    const { parts } = await ending.open({ ...PLACE, id: 'large' });
    const items = parts[Symbol.asyncIterator]();
    await items.next();
    await ending[Symbol.asyncDispose]();
    await ending[Symbol.asyncDispose]();
    const rest = async (): Promise<void> => {
      for (let item = await items.next(); !item.done; item = await items.next());
    };
    expect(await codeOf(rest)).toBe('STORE_FAILED');
    expect(await codeOf(() => ending.metadata({ ...PLACE, id: 'core' }))).toBe('INTERNAL');
  });
});

it('rejects every call after it was closed, with an error that names the reader', async () => {
  const closed = await createReader(scene.settings);
  await closed[Symbol.asyncDispose]();
  const name = { tenant: 'acme', corpus: 'docs', id: 'one' };
  for (const call of [
    () => closed.metadata(name),
    () => closed.open(name),
    () => closed.original(name),
    () => closed.list({ tenant: 'acme', corpus: 'docs' }),
  ])
    expect(await refusalOf(call)).toMatchObject({
      code: 'INTERNAL',
      reason: 'Closed',
      message: expect.stringMatching(/^The reader was closed\./) as string,
    });
});
