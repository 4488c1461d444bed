// A Word 97-2003 file built for tests: pieces of text, paragraphs with styles, deleted runs, and the tables with their
// positions.
import { compoundFile } from './compound-file.ts';

export interface DocPiece {
  readonly text: string;
  readonly isWide?: boolean;
  /** 1 to 9 for a heading. */
  readonly style?: number;
  readonly isStruck?: boolean;
  readonly isRowEnd?: boolean;
}

/** Numbers of characters behind the body: footnotes, headers, macros, comments, endnotes, text boxes. */
type Counts = readonly [number, number, number, number, number, number];

interface DocFile {
  readonly pieces: readonly DocPiece[];
  readonly counts?: Counts;
  readonly flags?: number;
  readonly magic?: number;
  /** Other streams. */
  readonly streams?: Readonly<Record<string, Buffer>>;
}

const PAGE = 512;

export function docStreams({ pieces, counts = [0, 0, 0, 0, 0, 0], flags = 0, magic = 0xa5ec, streams }: DocFile) {
  const header = Buffer.alloc(PAGE * 2);
  const texts = pieces.map(({ text, isWide }) => Buffer.from(text, isWide ? 'utf16le' : 'latin1'));
  let at = header.length;
  const places = texts.map((text) => {
    const from = at;
    at += text.length;
    return { from, to: at };
  });
  const body = Buffer.concat(texts);
  const textPages = Math.ceil((header.length + body.length) / PAGE);
  const characters = page(
    places,
    pieces.map(({ isStruck }) => (isStruck ? [3, 0x00, 0x08, 1] : undefined)),
    1,
  );
  const paragraphs = page(
    places,
    pieces.map(({ style = 0, isRowEnd }) => (isRowEnd ? [3, style, 0, 0x17, 0x24, 1] : [2, style, 0, 0])),
    13,
  );
  const clx = piecesTable(pieces, places);
  const runs = (number: number): Buffer => u32(0, at, number);
  const table = Buffer.concat([clx, runs(textPages), runs(textPages + 1)]);
  header.writeUInt16LE(magic, 0);
  header.writeUInt16LE(0xc1, 2);
  header.writeUInt16LE(flags, 0x0a);
  const total = pieces.reduce((sum, { text }) => sum + text.length, 0);
  const behind = counts.reduce((sum, count) => sum + count, 0);
  header.writeUInt32LE(total - behind, 0x4c);
  for (const [index, count] of counts.entries()) header.writeUInt32LE(count, 0x50 + index * 4);
  for (const [place, start, bytes] of [
    [0x1a2, 0, clx.length],
    [0xfa, clx.length, 12],
    [0x102, clx.length + 12, 12],
  ] as const) {
    header.writeUInt32LE(start, place);
    header.writeUInt32LE(bytes, place + 4);
  }
  const text = Buffer.concat([header, body, Buffer.alloc(textPages * PAGE - header.length - body.length)]);
  return { WordDocument: Buffer.concat([text, characters, paragraphs]), '0Table': table, ...streams };
}

export const docFile = (file: DocFile): Buffer => compoundFile(docStreams(file));

const u32 = (...numbers: number[]): Buffer => Buffer.from(Uint32Array.from(numbers).buffer);

type Place = { readonly from: number; readonly to: number };

function piecesTable(pieces: readonly DocPiece[], places: readonly Place[]): Buffer {
  let character = 0;
  const ends = pieces.map(({ text }) => (character += text.length));
  const entries = pieces.map(({ isWide }, at) => {
    const entry = Buffer.alloc(8);
    const from = places[at]?.from ?? 0;
    entry.writeUInt32LE(isWide ? from : (from * 2) | 0x4000_0000, 2);
    return entry;
  });
  const plc = Buffer.concat([u32(0, ...ends), ...entries]);
  const head = Buffer.alloc(5);
  head[0] = 2;
  head.writeUInt32LE(plc.length, 1);
  // Properties precede the pieces in real files.
  return Buffer.concat([Buffer.from([1, 2, 0, 0xaa, 0xbb]), head, plc]);
}

/** One page of runs: where each begins, where its property is, and the properties from the end of the page. */
function page(places: readonly Place[], properties: readonly (readonly number[] | undefined)[], entry: number): Buffer {
  const bytes = Buffer.alloc(PAGE);
  bytes[PAGE - 1] = places.length;
  let free = PAGE - 2;
  for (const [at, { from, to }] of places.entries()) {
    bytes.writeUInt32LE(from, at * 4);
    bytes.writeUInt32LE(to, at * 4 + 4);
    const property = properties[at];
    if (!property) continue;
    free = (free - property.length) & ~1;
    Buffer.from(property).copy(bytes, free);
    bytes[(places.length + 1) * 4 + at * entry] = free / 2;
  }
  return bytes;
}
