// Property set of old Office files: title, author and dates from the stream SummaryInformation (MS-OLEPS).
// Invalid values are ignored, and never make a file unreadable.
import type { Compound } from './compound.ts';

const STREAM = '\u0005SummaryInformation';
const MAX_PROPERTIES = 100;
const VALUE_BYTES = 16 * 1024;

const TEXT = 0x1e;
const WIDE_TEXT = 0x1f;
const TIME = 0x40;
const INT = 0x03;
const CODE_PAGE = 1;
const TITLE = 2;

const FIELDS: ReadonlyMap<number, string> = new Map([
  [3, 'subject'],
  [4, 'author'],
  [5, 'keywords'],
  [6, 'description'],
  [12, 'created'],
  [13, 'modified'],
  [14, 'pages'],
]);

/** Names of code pages that are not `windows-` plus their number. */
const CHARSETS: ReadonlyMap<number, string> = new Map([
  [932, 'shift_jis'],
  [936, 'gbk'],
  [949, 'euc-kr'],
  [950, 'big5'],
  [1200, 'utf-16le'],
  [10_000, 'macintosh'],
  [65_001, 'utf-8'],
]);

export interface Summary {
  readonly title?: string;
  readonly metadata: Record<string, string | number>;
}

export function summaryOf(compound: Compound): Summary {
  try {
    const set = compound.stream(STREAM);
    return set ? readSet(set) : { metadata: {} };
  } catch {
    // The property set is truncated; the text may still be complete.
    return { metadata: {} };
  }
}

function readSet(bytes: Buffer): Summary {
  const start = bytes.readUInt32LE(44);
  const count = Math.min(bytes.readUInt32LE(start + 4), MAX_PROPERTIES);
  const places = new Map<number, number>();
  for (let at = 0; at < count; at += 1) {
    const place = start + 8 + at * 8;
    places.set(bytes.readUInt32LE(place), start + bytes.readUInt32LE(place + 4));
  }
  const page = places.get(CODE_PAGE);
  const decode = decoderOf(page === undefined ? 1252 : bytes.readUInt16LE(page + 4));
  const title = places.has(TITLE) ? valueOf(bytes, places.get(TITLE) ?? 0, decode) : undefined;
  const fields = [...FIELDS].flatMap(([id, field]): [string, string | number][] => {
    const place = places.get(id);
    const value = place === undefined ? undefined : valueOf(bytes, place, decode);
    return value === undefined || value === '' ? [] : [[field, value]];
  });
  return { ...(typeof title === 'string' && title !== '' && { title }), metadata: Object.fromEntries(fields) };
}

type Decode = (bytes: Buffer) => string;

function decoderOf(page: number): Decode {
  const decoder = textDecoder(CHARSETS.get(page) ?? `windows-${page}`);
  return (bytes) => decoder.decode(bytes);
}

function textDecoder(label: string) {
  try {
    return new TextDecoder(label);
  } catch {
    return new TextDecoder('windows-1252');
  }
}

function valueOf(bytes: Buffer, at: number, decode: Decode): string | number | undefined {
  const type = bytes.readUInt32LE(at);
  if (type === INT) return bytes.readInt32LE(at + 4);
  if (type === TIME) return timeOf(bytes.readBigUInt64LE(at + 4));
  if (type !== TEXT && type !== WIDE_TEXT) return undefined;
  const length = Math.min(bytes.readUInt32LE(at + 4) * (type === WIDE_TEXT ? 2 : 1), VALUE_BYTES);
  const value = bytes.subarray(at + 8, at + 8 + length);
  return (type === WIDE_TEXT ? value.toString('utf16le') : decode(value)).split('\0', 1)[0]?.trim();
}

/** Converts units of 100 ns since 1601; 0 in a file that was never saved. */
function timeOf(ticks: bigint): string | undefined {
  const date = new Date(Number(ticks / 10_000n) - 11_644_473_600_000);
  return ticks === 0n || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
