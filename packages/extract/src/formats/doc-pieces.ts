// Pieces of a Word 97-2003 file (MS-DOC): the ranges of its text, and the runs of characters and paragraphs with a property.
// Numbers are not trusted: a file cannot have more characters than bytes.
import { FileError } from '../file-error.ts';

const PAGE = 512;
const COMPRESSED = 0x4000_0000;

export interface Piece {
  /** Offset of its first byte in the stream WordDocument. */
  readonly at: number;
  readonly isWide: boolean;
  /** In characters. */
  readonly length: number;
}

/** Bytes `from` to `to` of the stream WordDocument. */
export interface Run {
  readonly from: number;
  readonly to: number;
}

/** @param table the piece table (CLX). @throws FileError `damaged` */
export function piecesOf(clx: Buffer, streamBytes: number): Piece[] {
  let at = 0;
  while (clx[at] === 1 && at + 3 <= clx.length) at += 3 + clx.readUInt16LE(at + 1);
  if (clx[at] !== 2 || at + 5 > clx.length) throw new FileError('damaged');
  const plc = clx.subarray(at + 5, at + 5 + clx.readUInt32LE(at + 1));
  const count = Math.floor((plc.length - 4) / 12);
  const pieces: Piece[] = [];
  let bytes = 0;
  for (let piece = 0; piece < count; piece += 1) {
    const place = plc.readUInt32LE((count + 1) * 4 + piece * 8 + 2);
    const isWide = (place & COMPRESSED) === 0;
    const length = plc.readUInt32LE(piece * 4 + 4) - plc.readUInt32LE(piece * 4);
    bytes += isWide ? length * 2 : length;
    if (length < 0 || bytes > streamBytes) throw new FileError('damaged');
    pieces.push({ at: isWide ? place & 0x3fff_ffff : (place & 0x3fff_ffff) >>> 1, isWide, length });
  }
  return pieces;
}

const STRUCK = 0x0800;

/** Runs of characters that are marked as deleted by a reviewer. */
export function struckRuns(stream: Buffer, plc: Buffer): Run[] {
  return pagesOf(stream, plc).flatMap((page) =>
    runsOf(page, 1).filter(({ place }) => {
      const start = (page[place] ?? 0) * 2;
      return start > 0 && isSet(page.subarray(start + 1, start + 1 + (page[start] ?? 0)), STRUCK);
    }),
  );
}

export interface Paragraph extends Run {
  /** Heading level, 1 to 9, from the fixed numbers of heading styles; 0 for other paragraphs. */
  readonly level: number;
  /** Whether it is the mark at the end of a table row. */
  readonly isRowEnd: boolean;
}

const ROW_END = 0x2417;

/** Paragraphs that are headings or ends of rows. */
export function notedParagraphs(stream: Buffer, plc: Buffer): Paragraph[] {
  return pagesOf(stream, plc).flatMap((page) =>
    runsOf(page, 13).flatMap(({ from, to, place }) => {
      const start = (page[place] ?? 0) * 2;
      if (start === 0) return [];
      // After a size of 0 the actual size follows.
      const isLong = page[start] === 0;
      const style = start + (isLong ? 2 : 1);
      const bytes = isLong ? (page[start + 1] ?? 0) * 2 : (page[start] ?? 0) * 2 - 1;
      if (style + 2 > page.length) return [];
      const number = page.readUInt16LE(style);
      const level = number >= 1 && number <= 9 ? number : 0;
      const isRowEnd = isSet(page.subarray(style + 2, style + bytes), ROW_END);
      return level > 0 || isRowEnd ? [{ from, to, level, isRowEnd }] : [];
    }),
  );
}

function pagesOf(stream: Buffer, plc: Buffer): Buffer[] {
  const count = Math.floor((plc.length - 4) / 8);
  const numbers = new Set<number>();
  for (let at = 0; at < count; at += 1) numbers.add(plc.readUInt32LE((count + 1) * 4 + at * 4) & 0x3f_ffff);
  return [...numbers]
    .map((number) => stream.subarray(number * PAGE, (number + 1) * PAGE))
    .filter((page) => page.length === PAGE);
}

/** Runs of one page; `place` is the offset in the page of the byte that points to their properties, in units of two bytes. */
function runsOf(page: Buffer, entryBytes: number): (Run & { readonly place: number })[] {
  const count = Math.min(page[PAGE - 1] ?? 0, Math.floor((PAGE - 5) / (4 + entryBytes)));
  return Array.from({ length: count }, (_, run) => ({
    from: page.readUInt32LE(run * 4),
    to: page.readUInt32LE(run * 4 + 4),
    place: (count + 1) * 4 + run * entryBytes,
  }));
}

/** Bytes of an operand, by the highest three bits; for value 6 the first byte of the operand is its length. */
const OPERAND_BYTES = [1, 1, 2, 4, 2, 2, 0, 3];

function isSet(properties: Buffer, wanted: number): boolean {
  for (let at = 0; at + 3 <= properties.length;) {
    const property = properties.readUInt16LE(at);
    if (property === wanted) return ((properties[at + 2] ?? 0) & 1) === 1;
    at += 2 + (property >> 13 === 6 ? 1 + (properties[at + 2] ?? 0) : (OPERAND_BYTES[property >> 13] ?? 1));
  }
  return false;
}
