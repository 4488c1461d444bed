// PowerPoint 97-2003: slides in the order of the last save, under their titles.
import { describe, expect, test } from 'vitest';
import { persistedOf } from '../src/formats/ppt-records.ts';
import { readPpt } from '../src/formats/ppt.ts';
import { compoundFile, SUMMARY, summaryStream } from './compound-file.ts';
import { faultOf } from './faults.ts';

const read = (bytes: Buffer) => readPpt({ bytes, filename: 'a.ppt' });

const u32 = (...numbers: number[]): Buffer => Buffer.from(Uint32Array.from(numbers).buffer);

function record(type: number, bodies: Buffer | readonly Buffer[], instance = 0): Buffer {
  const body = Array.isArray(bodies) ? Buffer.concat(bodies) : (bodies as Buffer);
  const head = Buffer.alloc(8);
  head.writeUInt16LE((instance << 4) | (Array.isArray(bodies) ? 0xf : 0), 0);
  head.writeUInt16LE(type, 2);
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body]);
}

const kind = (number: number): Buffer => record(0x0f9f, u32(number));
const wide = (text: string): Buffer => record(0x0fa0, Buffer.from(text, 'utf16le'));
const narrow = (text: string): Buffer => record(0x0fa8, Buffer.from(text, 'latin1'));
const persist = (id: number, slideId: number): Buffer => record(0x03f3, u32(id, 0, 0, slideId, 0));
const reference = (at: number): Buffer => record(0x0f9e, u32(at));
const list = (instance: number, ...records: Buffer[]): Buffer => record(0x0ff0, records, instance);
const box = (...records: Buffer[]): Buffer => record(0xf004, [record(0xf00d, records)]);
const drawing = (...boxes: Buffer[]): Buffer => record(0x040c, [record(0xf002, [record(0xf003, boxes)])]);

/** A stream with the positions of its records in the last save; the first record is the document. */
function saved(records: readonly Buffer[], before: Buffer = Buffer.alloc(0)): Record<string, Buffer> {
  const places: number[] = [];
  let at = before.length;
  for (const bytes of records) {
    places.push(at);
    at += bytes.length;
  }
  const directory = record(0x1772, u32(1 | (records.length << 20), ...places));
  const edit = record(0x0ff5, u32(0, 0x03000000, 0, at, 1, records.length, 0));
  return {
    'PowerPoint Document': Buffer.concat([before, ...records, directory, edit]),
    'Current User': currentUser(at + directory.length),
  };
}

const currentUser = (editAt: number, token = 0xe391c05f): Buffer => record(0x0ff6, u32(0x14, token, editAt, 0, 8));

const DOCUMENT = record(0x03e8, [
  list(1, kind(0), wide('Click to edit Master title style')),
  list(
    0,
    persist(2, 256),
    kind(0),
    wide('Žádné plány'),
    kind(1),
    narrow('First point\rSecond\vline'),
    persist(3, 257),
    persist(4, 258),
  ),
  list(2, persist(5, 0)),
]);
const SLIDE_2 = record(0x03ee, [
  drawing(box(reference(0)), box(kind(4), narrow('In a caf\u00e9')), box(reference(1), reference(1))),
]);
const SLIDE_3 = record(0x03ee, [drawing(box(kind(4), wide('Only a box')))]);
const SLIDE_4 = record(0x03ee, [drawing()]);
const NOTES = record(0x03f0, [
  record(0x03f1, u32(256, 0)),
  drawing(box(kind(2), wide('Say hello.')), box(kind(4), wide('7'))),
]);

test('slides become sections in order, with text boxes in place, notes inside and metadata', async () => {
  const old = record(0x03e8, [list(0, persist(9, 300), kind(0), wide('An earlier save'))]);
  const bytes = compoundFile({
    ...saved([DOCUMENT, SLIDE_2, SLIDE_3, SLIDE_4, NOTES], old),
    [SUMMARY]: summaryStream(1250, {
      2: Buffer.from([0x8e, 0xe1, 0x64, 0x6e, 0xe9]),
      4: Buffer.from('Ann Lee'),
      12: new Date('2004-05-06T07:08:09Z'),
    }),
  });
  expect(await read(bytes)).toEqual({
    contentType: 'application/vnd.ms-powerpoint',
    title: 'Žádné',
    metadata: { author: 'Ann Lee', created: '2004-05-06T07:08:09.000Z', slides: 3 },
    sections: [
      {
        title: 'Žádné plány',
        text: 'In a café\nFirst point\nSecond\nline',
        metadata: { slide: 1 },
        sections: [{ title: 'Notes', text: 'Say hello.' }],
      },
      { title: 'Slide 2', text: 'Only a box', metadata: { slide: 2 } },
    ],
  });
});

test('a broken table of parts does not hide the texts of the last document', async () => {
  const { 'PowerPoint Document': stream = Buffer.alloc(0) } = saved([DOCUMENT]);
  const bytes = compoundFile({ 'PowerPoint Document': stream, 'Current User': currentUser(7) });
  expect((await read(bytes)).sections).toEqual([
    { title: 'Žádné plány', text: 'First point\nSecond\nline', metadata: { slide: 1 } },
  ]);
});

describe('a hostile presentation', () => {
  test('with encryption is encrypted', async () => {
    const streams = { ...saved([DOCUMENT]), 'Current User': currentUser(0, 0xf3d1c4df) };
    expect(await faultOf(read(compoundFile(streams)))).toBe('office-encrypted');
  });

  test('truncated anywhere is read partly or is damaged', async () => {
    const streams = saved([DOCUMENT, SLIDE_2, SLIDE_3, SLIDE_4, NOTES]);
    const stream = streams['PowerPoint Document'] ?? Buffer.alloc(0);
    for (let length = 0; length < stream.length; length += 37) {
      const cut = compoundFile({ ...streams, 'PowerPoint Document': stream.subarray(0, length) });
      const found = JSON.stringify(await read(cut).catch((error: unknown) => faultOf(Promise.reject(error))));
      expect(found).toMatch(/sections|damaged/);
    }
  });

  test('with a slide or text referred to a million times has it once', async () => {
    const many = Array.from({ length: 100_000 }, () => persist(2, 256));
    const slide = record(0x03ee, [drawing(box(...Array.from({ length: 100_000 }, () => reference(0))))]);
    const document = record(0x03e8, [list(0, persist(2, 256), kind(0), wide('Once'), ...many)]);
    expect((await read(compoundFile(saved([document, slide])))).sections).toEqual([
      { title: 'Once', text: '', metadata: { slide: 1 } },
    ]);
  });

  test('with one slide under ten thousand numbers, or with nested slides, has too many parts', async () => {
    const numbers = Array.from({ length: 10_000 }, (_, at) => at + 2);
    const document = record(0x03e8, [list(0, ...numbers.map((number) => persist(number, number)))]);
    const slide = record(0x03ee, [drawing(...Array.from({ length: 10_000 }, () => box(kind(4), wide('Again'))))]);
    const { 'PowerPoint Document': stream = Buffer.alloc(0) } = saved([document, slide]);
    // A directory of four thousand numbers a group, all of them at the place of the one slide.
    const groups = [0, 1, 2].map((group) =>
      u32((2 + group * 4000) | (4000 << 20), ...Array.from({ length: 4000 }, () => document.length)),
    );
    const directory = record(0x1772, Buffer.concat([u32(1 | (1 << 20), 0), ...groups]));
    const edit = record(0x0ff5, u32(0, 0x03000000, 0, stream.length, 1, 0, 0));
    const streams = {
      'PowerPoint Document': Buffer.concat([stream, directory, edit]),
      'Current User': currentUser(stream.length + directory.length),
    };
    expect(await faultOf(read(compoundFile(streams)))).toBe('too-many-parts');
  });

  test('with a thousand saves that share one long directory reads the directory once', () => {
    const directory = record(0x1772, Buffer.concat([u32(1 | (1 << 20), 0), Buffer.alloc(4_000_000, 0xff)]));
    const edits = Array.from({ length: 1000 }, (_, at) =>
      record(0x0ff5, u32(0, 0, at === 0 ? 0 : directory.length + (at - 1) * 36, 0, 1, 0, 0)),
    );
    const stream = Buffer.concat([directory, ...edits]);
    expect(persistedOf(stream, stream.length - 36)?.record(1)?.type).toBe(0x1772);
  });

  test('with records nested ten thousand deep, circular saves or lengths beyond the end is read normally', async () => {
    let deep = box(kind(4), wide('Too deep'));
    for (let level = 0; level < 10_000; level += 1) deep = record(0x03ee, [deep]);
    const streams = saved([DOCUMENT, deep]);
    const stream = Buffer.from(streams['PowerPoint Document'] ?? []);
    // The last save names itself as the one before.
    const edit = streams['Current User']?.readUInt32LE(16) ?? 0;
    stream.writeUInt32LE(edit, edit + 16);
    stream.writeUInt32LE(0xffffffff, edit + 4);
    const { sections } = await read(compoundFile({ ...streams, 'PowerPoint Document': stream }));
    expect(sections.map(({ title }) => title)).toEqual(['Žádné plány']);
  });
});
