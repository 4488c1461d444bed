// Word 97-2003: the extracted text, and that another reader of the format finds the same words in the fixture.
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import type { Section } from '../src/extracted.ts';
import { linesOf } from '../src/formats/doc-text.ts';
import { readDoc } from '../src/formats/doc.ts';
import { compoundFile, SUMMARY, summaryStream } from './compound-file.ts';
import { docFile, docStreams, type DocPiece } from './doc-file.ts';
import { FileError } from '../src/file-error.ts';
import { faultOf } from './faults.ts';

interface OtherReader {
  extract(bytes: Buffer): Promise<{ getBody(options: { filterUnicode: boolean }): string }>;
}
/** Has no types of its own. */
const WordExtractor = createRequire(import.meta.url)('word-extractor') as new () => OtherReader;

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');
const textsOf = (sections: readonly Section[]): string =>
  sections.map(({ title, text, sections }) => `${title ?? ''}\n${text ?? ''}\n${textsOf(sections ?? [])}`).join('\n');

const read = (bytes: Buffer) => readDoc({ bytes, filename: 'a.doc' });

const PIECES: readonly DocPiece[] = [
  { text: 'Before.\r' },
  { text: 'Žádné plány\r', isWide: true, style: 1 },
  {
    text: 'See \x13 HYPERLINK "https://example.org" \x14the \x13 PAGE \x147\x15 pages\x15 of caf\u00e9\u0093s\u0094.\x0bNext line',
  },
  { text: ' that was struck', isStruck: true },
  { text: '\r' },
  { text: 'Detail\r', style: 2 },
  { text: 'A\x07\x07C\x07', isWide: true },
  { text: '\x07', isRowEnd: true },
  { text: 'D\x07E\x07F\x07' },
  { text: '\x07', isRowEnd: true },
  { text: 'non\x1ebreaking co\x1foperation\x0c' },
  { text: '\x02 A footnote.\r' },
  { text: 'Page header\r' },
  { text: '\x05Really?\r' },
];

test('headings become nested sections, tables become rows, fields become their results, and notes follow', async () => {
  const bytes = docFile({
    pieces: PIECES,
    counts: [14, 12, 0, 9, 0, 0],
    streams: {
      [SUMMARY]: summaryStream(65_001, { 2: Buffer.from('Über'), 4: Buffer.from('Ann'), 13: new Date(0) }),
    },
  });
  expect(await read(bytes)).toEqual({
    contentType: 'application/msword',
    title: 'Über',
    metadata: { author: 'Ann', modified: '1970-01-01T00:00:00.000Z' },
    sections: [
      { text: 'Before.' },
      {
        title: 'Žádné plány',
        text: 'See the 7 pages of café“s”.\nNext line',
        sections: [{ title: 'Detail', text: 'A\t\tC\nD\tE\tF\nnon-breaking cooperation' }],
      },
      { title: 'Footnotes', text: '\x02 A footnote.' },
      { title: 'Comments', text: '\x05Really?' },
    ],
  });
});

test('another reader of the format finds the same words in the fixture', async () => {
  const bytes = docFile({ pieces: PIECES, counts: [14, 12, 0, 9, 0, 0] });
  const other = (await new WordExtractor().extract(bytes)).getBody({ filterUnicode: false });
  // It returns "undefined" for a soft hyphen.
  const texts = textsOf((await read(bytes)).sections.slice(0, 2));
  expect(wordsOf(texts)).toEqual(wordsOf(other.replaceAll('\x1e', '-').replaceAll('undefined', '')));
});

describe('extraction', () => {
  test('rejects an encrypted file', async () => {
    expect(await faultOf(read(docFile({ pieces: PIECES, flags: 0x0100 })))).toBe('office-encrypted');
  });

  test('rejects a file of Word 95 as another type', async () => {
    const bytes = docFile({ pieces: PIECES, magic: 0xa5dc });
    expect(await faultOf(read(bytes))).toBe('unsupported application/x-word6');
  });

  test('rejects a file without a table as damaged', async () => {
    expect(await faultOf(read(docFile({ pieces: PIECES, flags: 0x0200 })))).toBe('damaged');
  });
});

describe('a hostile file', () => {
  test('with pieces that repeat the same bytes is rejected', async () => {
    const streams = docStreams({ pieces: PIECES });
    const table = Buffer.from(streams['0Table']);
    // A million characters in one piece, then as many in the next.
    for (let at = 1; at < 5; at += 1) table.writeUInt32LE(at * 1_000_000, 5 + 5 + at * 4);
    expect(await faultOf(read(compoundFile({ ...streams, '0Table': table })))).toBe('damaged');
  });

  test('with a hundred thousand overlapping runs is read once, without repeated text', () => {
    const words = Buffer.from('The words. '.repeat(20_000));
    const pieces = Array.from({ length: 100_000 }, (_, at) => ({ at, isWide: false, length: 1 }));
    const over = Array.from({ length: 200_000 }, (_, at) => ({ from: 0, to: at % 2, level: 0, isRowEnd: true }));
    const backward = Array.from({ length: 200_000 }, (_, at) => ({
      from: 150_000 + at,
      to: at,
      level: 1,
      isRowEnd: false,
    }));
    const lines = linesOf(words, pieces, over.slice(1), [...over, ...backward], { from: 0, length: 100_000 });
    // The first character was struck out.
    expect(lines.map(({ text }) => text)).toEqual([words.toString('latin1', 1, 100_000).trimEnd()]);
  });

  test('with a small stream of huge declared length in a circular table is damaged', async () => {
    const bytes = Buffer.from(
      compoundFile({ 'PowerPoint Document': Buffer.from('x'.repeat(5000)), WordDocument: Buffer.from('y') }),
    );
    const name = bytes.indexOf(Buffer.from('WordDocument', 'utf16le'));
    bytes.writeUInt32LE(0x7fff_ffff, name + 120);
    bytes.writeUInt32LE(0xffff_ffff, 56);
    const table = (bytes.readUInt32LE(60) + 1) * 512;
    for (let at = 0; at < 128; at += 1) bytes.writeUInt32LE(at, table + at * 4);
    expect(await faultOf(read(bytes))).toBe('damaged');
  });

  test('with any changed word of header or tables gives text or an error, and quickly', async () => {
    const streams = docStreams({ pieces: PIECES, counts: [14, 12, 0, 9, 0, 0] });
    const found = new Set<string>();
    for (const name of ['WordDocument', '0Table'] as const) {
      for (let at = 0; at < streams[name].length - 4; at += name === '0Table' ? 1 : 6) {
        const bytes = Buffer.from(streams[name]);
        bytes.writeUInt32LE(0xfffffff0 + (at % 16), at);
        const read = readDoc({ bytes: compoundFile({ ...streams, [name]: bytes }), filename: 'a.doc' });
        found.add(
          await read.then(
            () => 'text',
            (error: Error) => (error instanceof FileError ? error.reason : error.name),
          ),
        );
      }
    }
    // A reader may throw a RangeError: extract() treats it as damage.
    const expected = new Set(['text', 'damaged', 'office-encrypted', 'unsupported', 'RangeError']);
    expect([...found].filter((kind) => !expected.has(kind))).toEqual([]);
  });
});
