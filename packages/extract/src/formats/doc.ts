// Word 97-2003 (DOC): headings become nested sections; footnotes, comments and text boxes follow the body. Headers and footers are
// dropped, since they repeat on every page.
import { type Compound, openCompound } from '../compound.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { Outline } from '../outline.ts';
import { summaryOf } from '../property-set.ts';
import { FileError } from '../file-error.ts';
import { notedParagraphs, piecesOf, struckRuns } from './doc-pieces.ts';
import { type Line, linesOf } from './doc-text.ts';

const MAGIC = 0xa5ec;
/** Word 6 and 95, which have another layout. */
const OLDER = 0xa5dc;
const WORD_97 = 0x00c1;
const HEADER_BYTES = 0x1aa;

const IS_ENCRYPTED = 0x0100;
const IS_TABLE_1 = 0x0200;

/** Offsets in the header of the position and size of a table. */
const CHARACTER_RUNS = 0xfa;
const PARAGRAPH_RUNS = 0x102;
const PIECES = 0x1a2;
/** Offsets of character counts: of the body, and of the texts that follow it in this order. Headers are not read. */
const COUNTS = [
  { at: 0x4c, title: undefined },
  { at: 0x50, title: 'Footnotes' },
  { at: 0x54, title: '' },
  { at: 0x5c, title: 'Comments' },
  { at: 0x60, title: 'Endnotes' },
  { at: 0x64, title: 'Text boxes' },
] as const;

/** @throws FileError `office-encrypted`, `damaged`, `too-many-parts` */
export async function readDoc({ bytes }: FileInput): Promise<Extracted> {
  const compound = openCompound(bytes);
  const stream = compound.stream('WordDocument');
  if (!stream || stream.length < HEADER_BYTES) throw new FileError('damaged');
  const table = tableOf(compound, stream);
  const pieces = piecesOf(tableAt(stream, table, PIECES), stream.length);
  const struck = struckRuns(stream, tableAt(stream, table, CHARACTER_RUNS));
  const paragraphs = notedParagraphs(stream, tableAt(stream, table, PARAGRAPH_RUNS));
  const outline = new Outline();
  let from = 0;
  for (const { at, title } of COUNTS) {
    const length = stream.readUInt32LE(at);
    if (title !== '') write(outline, linesOf(stream, pieces, struck, paragraphs, { from, length }), title);
    from += length;
  }
  const { title, metadata } = summaryOf(compound);
  return { contentType: MIME.doc, ...(title !== undefined && { title }), metadata, sections: outline.sections() };
}

function tableOf(compound: Compound, stream: Buffer): Buffer {
  const magic = stream.readUInt16LE(0);
  if (magic === OLDER || (magic === MAGIC && stream.readUInt16LE(2) < WORD_97))
    throw new FileError('unsupported', 'application/x-word6');
  if (magic !== MAGIC) throw new FileError('damaged');
  const flags = stream.readUInt16LE(0x0a);
  if ((flags & IS_ENCRYPTED) !== 0) throw new FileError('office-encrypted');
  const table = compound.stream((flags & IS_TABLE_1) === 0 ? '0Table' : '1Table');
  if (!table) throw new FileError('damaged');
  return table;
}

function tableAt(stream: Buffer, table: Buffer, place: number): Buffer {
  const start = stream.readUInt32LE(place);
  return table.subarray(start, start + stream.readUInt32LE(place + 4));
}

/** Writes lines of the body under their headings, or lines of a following text under one title. */
function write(outline: Outline, lines: readonly Line[], title: string | undefined): void {
  if (title !== undefined && lines.length > 0) outline.heading(1, title);
  for (const { text, level } of lines) {
    if (title === undefined && level > 0) outline.heading(level, text);
    else outline.add(`${text}\n`);
  }
}
