// Records of a PowerPoint 97-2003 stream (MS-PPT), and the positions of the parts of the last save.
// A record never extends beyond the record around it.
import { FileError } from '../file-error.ts';

const CONTAINER = 0xf;
/** Maximum depth of records in records; real files have about ten levels. */
const MAX_DEPTH = 32;
/** Maximum number of incremental saves. */
const MAX_EDITS = 1000;

const USER_EDIT = 0x0ff5;
const PERSIST_DIRECTORY = 0x1772;

export interface PptRecord {
  readonly type: number;
  /** The upper bits of its header, which distinguish records of one type. */
  readonly instance: number;
  readonly isContainer: boolean;
  readonly body: Buffer;
}

/** The record at `at`, cut to the end of the bytes; undefined after the end. */
function recordAt(bytes: Buffer, at: number): PptRecord | undefined {
  if (at < 0 || at + 8 > bytes.length) return undefined;
  const head = bytes.readUInt16LE(at);
  return {
    type: bytes.readUInt16LE(at + 2),
    instance: head >> 4,
    isContainer: (head & 0xf) === CONTAINER,
    body: bytes.subarray(at + 8, at + 8 + bytes.readUInt32LE(at + 4)),
  };
}

export function* recordsIn(bytes: Buffer): Generator<PptRecord> {
  let at = 0;
  for (let record = recordAt(bytes, at); record; record = recordAt(bytes, at)) {
    yield record;
    at += 8 + record.body.length;
  }
}

/** Records at any depth for which `isWanted` returns true; does not search inside them. */
export function* recordsBelow(
  bytes: Buffer,
  isWanted: (record: PptRecord) => boolean,
  depth = 1,
): Generator<PptRecord> {
  for (const record of recordsIn(bytes)) {
    if (isWanted(record)) yield record;
    else if (record.isContainer && depth < MAX_DEPTH) yield* recordsBelow(record.body, isWanted, depth + 1);
  }
}

export interface Persisted {
  /**
   * The record with this number in the last save. Call once per number: together the records are at most as large as the file,
   * unless they overlap. @throws FileError `too-many-parts`
   */
  record(id: number): PptRecord | undefined;
  readonly documentId: number;
}

/** @param editAt offset of the description of the last save, from the stream Current User */
export function persistedOf(stream: Buffer, editAt: number): Persisted | undefined {
  const places = new Map<number, number>();
  let documentId: number | undefined;
  const seen = new Set<number>();
  let directoryBytes = 0;
  for (let at = editAt; !seen.has(at) && seen.size < MAX_EDITS;) {
    seen.add(at);
    const edit = recordAt(stream, at);
    if (edit?.type !== USER_EDIT || edit.body.length < 20) break;
    documentId ??= edit.body.readUInt32LE(16);
    const directory = recordAt(stream, edit.body.readUInt32LE(12));
    // Directories of saves do not overlap: together they are at most as large as the file.
    directoryBytes += directory?.body.length ?? 0;
    if (directoryBytes > stream.length) break;
    if (directory?.type === PERSIST_DIRECTORY) addPlaces(directory.body, places);
    at = edit.body.readUInt32LE(8);
    if (at === 0) break;
  }
  if (documentId === undefined) return undefined;
  let left = stream.length;
  return {
    documentId,
    record: (id) => {
      const record = recordAt(stream, places.get(id) ?? -1);
      left -= record?.body.length ?? 0;
      if (left < 0) throw new FileError('too-many-parts');
      return record;
    },
  };
}

/** Later saves are read first and take precedence. */
function addPlaces(directory: Buffer, places: Map<number, number>): void {
  for (let at = 0; at + 4 <= directory.length;) {
    const head = directory.readUInt32LE(at);
    const first = head & 0xf_ffff;
    const count = head >>> 20;
    at += 4;
    for (let next = 0; next < count && at + 4 <= directory.length; next += 1, at += 4) {
      if (!places.has(first + next)) places.set(first + next, directory.readUInt32LE(at));
    }
  }
}
