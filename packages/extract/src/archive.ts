// Zip archive: reads its directory first, then unpacks one entry at a time up to a given size.
// Archives inside archives are not opened.
import { crc32, inflateRawSync } from 'node:zlib';
import { FileError } from './file-error.ts';

export const MAX_ENTRIES = 10_000;
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;
/** Text compresses 10:1, a sheet of zeros 1000:1. The ratio is not checked below the floor. */
const MAX_RATIO = 200;
const RATIO_FLOOR_BYTES = 32 * 1024 * 1024;

const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const END = Buffer.from('PK\u0005\u0006', 'latin1');
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;

const IS_ENCRYPTED = 1;
const STORED = 0;
const DEFLATED = 8;

interface Entry {
  readonly isDeflated: boolean;
  readonly checksum: number;
  readonly packedBytes: number;
  readonly offset: number;
}

export interface Archive {
  /** Maximum size of all unpacked entries together; the sizes in the archive are not trusted. */
  readonly maxUnpackedBytes: number;
  readonly names: ReadonlySet<string>;
  /** Unpacks an entry; undefined if there is none. @throws FileError `damaged`, `unpacks-too-large` above `maxBytes` */
  read(name: string, maxBytes: number): Buffer | undefined;
  /**
   * Unpacks the entries for whose names `isRead` returns true, sequentially, together at most `maxUnpackedBytes`.
   * @throws FileError `damaged`, `unpacks-too-large`
   */
  each(isRead: (name: string) => boolean): Iterable<{ readonly name: string; readonly content: Buffer }>;
}

const maxUnpackedBytes = (bytes: Buffer): number =>
  Math.min(MAX_UNPACKED_BYTES, Math.max(RATIO_FLOOR_BYTES, MAX_RATIO * bytes.length));

/** @throws FileError `damaged`, `archive-encrypted`, `too-many-parts`, `unpacks-too-large` */
export function openArchive(bytes: Buffer): Archive {
  const entries = entriesOf(bytes);
  return {
    maxUnpackedBytes: maxUnpackedBytes(bytes),
    names: new Set(entries.keys()),
    read: (name, maxBytes) => {
      const entry = entries.get(name);
      return entry && unpack(bytes, entry, maxBytes);
    },
    *each(isRead) {
      let left = maxUnpackedBytes(bytes);
      for (const [name, entry] of entries) {
        if (!isRead(name)) continue;
        const content = unpack(bytes, entry, left);
        left -= content.length;
        yield { name, content };
      }
    },
  };
}

function entriesOf(bytes: Buffer): Map<string, Entry> {
  const { count, start, end } = directoryOf(bytes);
  const entries = new Map<string, Entry>();
  let unpackedBytes = 0;
  let at = start;
  for (let seen = 0; seen < count; seen += 1) {
    if (at + CENTRAL_BYTES > end || bytes.readUInt32LE(at) !== CENTRAL) throw new FileError('damaged');
    if ((bytes.readUInt16LE(at + 8) & IS_ENCRYPTED) !== 0) throw new FileError('archive-encrypted');
    const nameAt = at + CENTRAL_BYTES;
    const next = nameAt + bytes.readUInt16LE(at + 28) + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
    const method = bytes.readUInt16LE(at + 10);
    if (next > end || (method !== STORED && method !== DEFLATED)) throw new FileError('damaged');
    const checksum = bytes.readUInt32LE(at + 16);
    const packedBytes = bytes.readUInt32LE(at + 20);
    const offset = bytes.readUInt32LE(at + 42);
    if (offset + LOCAL_BYTES + packedBytes > start) throw new FileError('damaged');
    unpackedBytes += bytes.readUInt32LE(at + 24);
    const name = bytes.toString('utf8', nameAt, nameAt + bytes.readUInt16LE(at + 28));
    if (!entries.has(name)) entries.set(name, { isDeflated: method === DEFLATED, checksum, packedBytes, offset });
    at = next;
  }
  if (unpackedBytes > maxUnpackedBytes(bytes)) throw new FileError('unpacks-too-large');
  return entries;
}

/** Position of the directory. ZIP64 is not supported: files of the accepted sizes do not need it. */
function directoryOf(bytes: Buffer): { count: number; start: number; end: number } {
  const tail = Math.max(0, bytes.length - END_BYTES - MAX_COMMENT_BYTES);
  const found = bytes.subarray(tail).lastIndexOf(END);
  const end = tail + found;
  if (found === -1 || end + END_BYTES > bytes.length) throw new FileError('damaged');
  const count = bytes.readUInt16LE(end + 10);
  const start = bytes.readUInt32LE(end + 16);
  if (count === 0 || start + bytes.readUInt32LE(end + 12) > end) throw new FileError('damaged');
  if (count > MAX_ENTRIES) throw new FileError('too-many-parts');
  return { count, start, end };
}

function unpack(bytes: Buffer, { isDeflated, checksum, packedBytes, offset }: Entry, maxBytes: number): Buffer {
  if (bytes.readUInt32LE(offset) !== LOCAL) throw new FileError('damaged');
  const from = offset + LOCAL_BYTES + bytes.readUInt16LE(offset + 26) + bytes.readUInt16LE(offset + 28);
  const packed = bytes.subarray(from, from + packedBytes);
  const unpacked = isDeflated ? inflate(packed, maxBytes) : packed;
  if (unpacked.length > maxBytes) throw new FileError('unpacks-too-large');
  if (crc32(unpacked) !== checksum) throw new FileError('damaged');
  return unpacked;
}

function inflate(packed: Buffer, maxBytes: number): Buffer {
  try {
    // zlib does not accept a limit of 0.
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, maxBytes) });
  } catch (error) {
    throw new FileError(error instanceof RangeError ? 'unpacks-too-large' : 'damaged');
  }
}
