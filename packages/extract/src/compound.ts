// Compound file (CFB, MS-CFB), the container of DOC and PPT: lists names, and reads one stream at a time.
// Numbers in the file are not trusted: a chain is followed for at most the number of sectors in the file.
import { FileError } from './file-error.ts';

const MAGIC = Buffer.from('d0cf11e0a1b11ae1', 'hex');
const ENTRY_BYTES = 128;
/** Real files have a few dozen. */
const MAX_ENTRIES = 100_000;
const MINI_SECTOR = 64;
/** Offsets in an entry: the numbers of its siblings, and of its first child. */
const LEFT = 68;
const RIGHT = 72;
const CHILD = 76;

interface Entry {
  readonly name: string;
  readonly isStream: boolean;
  readonly start: number;
  readonly size: number;
}

export interface Compound {
  /** Class id of the root as 32 hex digits. */
  readonly classId: string;
  /** Names of the storages and streams in the root. */
  readonly names: ReadonlySet<string>;
  /** Reads a stream in the root; undefined if there is none. @throws FileError `damaged` */
  stream(name: string): Buffer | undefined;
}

export const isCompound = (bytes: Buffer): boolean => bytes.subarray(0, MAGIC.length).equals(MAGIC);

/** @throws FileError `damaged` */
export function openCompound(bytes: Buffer): Compound {
  const sectors = new Sectors(bytes);
  const directory = sectors.read(bytes.readUInt32LE(48));
  const root = directory.subarray(0, ENTRY_BYTES);
  if (root.length < ENTRY_BYTES) throw new FileError('damaged');
  const entries = entriesOf(directory);
  return {
    classId: root.subarray(80, 96).toString('hex'),
    names: new Set(entries.map(({ name }) => name)),
    stream: (name) => {
      const entry = entries.find((entry) => entry.isStream && entry.name === name);
      if (!entry) return undefined;
      const isMini = entry.size < sectors.miniCutoff;
      return isMini ? sectors.readMini(entry, root) : sectors.read(entry.start, entry.size);
    },
  };
}

/** Entries of the root only, because embedded objects have streams with the same names. */
function entriesOf(directory: Buffer): Entry[] {
  const entries: Entry[] = [];
  const seen = new Set<number>();
  const next = [directory.readUInt32LE(CHILD)];
  for (let id = next.pop(); id !== undefined; id = next.pop()) {
    const at = id * ENTRY_BYTES;
    if (seen.has(id) || seen.size === MAX_ENTRIES || at + ENTRY_BYTES > directory.length) continue;
    seen.add(id);
    next.push(directory.readUInt32LE(at + LEFT), directory.readUInt32LE(at + RIGHT));
    const nameBytes = Math.min(directory.readUInt16LE(at + 64), 64) - 2;
    if (nameBytes < 0) continue;
    entries.push({
      name: directory.toString('utf16le', at, at + nameBytes),
      isStream: directory[at + 66] === 2,
      start: directory.readUInt32LE(at + 116),
      size: directory.readUInt32LE(at + 120),
    });
  }
  return entries;
}

class Sectors {
  readonly miniCutoff: number;
  readonly #bytes: Buffer;
  readonly #shift: number;
  readonly #fat: number[];
  readonly #miniFatStart: number;

  constructor(bytes: Buffer) {
    if (bytes.length < 512) throw new FileError('damaged');
    this.#bytes = bytes;
    this.#shift = bytes.readUInt16LE(30);
    if (this.#shift !== 9 && this.#shift !== 12) throw new FileError('damaged');
    this.miniCutoff = bytes.readUInt32LE(56);
    this.#miniFatStart = bytes.readUInt32LE(60);
    this.#fat = this.#readFat();
  }

  /** Reads the chain from `start`, cut to `size` bytes. */
  read(start: number, size?: number): Buffer {
    const sectorBytes = 1 << this.#shift;
    const wanted = size === undefined ? this.#fat.length : Math.ceil(size / sectorBytes);
    if (wanted > this.#fat.length) throw new FileError('damaged');
    const chunks = chain(start, this.#fat, wanted, size !== undefined).map((sector) => this.#sector(sector));
    const whole = Buffer.concat(chunks);
    if (size !== undefined && whole.length < size) throw new FileError('damaged');
    return size === undefined ? whole : whole.subarray(0, size);
  }

  /** Reads a small stream, whose sectors of 64 bytes are in the root's stream. */
  readMini({ start, size }: Entry, root: Buffer): Buffer {
    const mini = this.read(root.readUInt32LE(116), root.readUInt32LE(120));
    const fat = wordsOf(this.read(this.#miniFatStart));
    const wanted = Math.ceil(size / MINI_SECTOR);
    if (wanted > fat.length) throw new FileError('damaged');
    const sectors = chain(start, fat, wanted, true);
    const whole = Buffer.concat(sectors.map((at) => mini.subarray(at * MINI_SECTOR, (at + 1) * MINI_SECTOR)));
    if (whole.length < size) throw new FileError('damaged');
    return whole.subarray(0, size);
  }

  #sector(number: number): Buffer {
    const at = (number + 1) * 2 ** this.#shift;
    return this.#bytes.subarray(at, at + 2 ** this.#shift);
  }

  #readFat(): number[] {
    const sectorCount = Math.ceil(this.#bytes.length / 2 ** this.#shift);
    const places = wordsOf(this.#bytes.subarray(76, 512));
    let next = this.#bytes.readUInt32LE(68);
    for (let seen = 0; next < sectorCount && seen < sectorCount; seen += 1) {
      const words = wordsOf(this.#sector(next));
      next = words.pop() ?? sectorCount;
      for (const word of words) places.push(word);
    }
    // At most as many sectors of the table as the file can need: more would be a loop.
    const needed = Math.ceil(sectorCount / 2 ** (this.#shift - 2));
    const used = places.filter((place) => place < sectorCount).slice(0, needed);
    return used.flatMap((place) => wordsOf(this.#sector(place))).slice(0, sectorCount);
  }
}

/** Returns at most `wanted` sector numbers of a chain. With `isExact`, a shorter chain is an error. */
function chain(start: number, fat: readonly number[], wanted: number, isExact: boolean): number[] {
  const sectors: number[] = [];
  for (let at = start; sectors.length < wanted && at < fat.length; at = fat[at] ?? fat.length) sectors.push(at);
  if (isExact && sectors.length < wanted) throw new FileError('damaged');
  return sectors;
}

function wordsOf(bytes: Buffer): number[] {
  const words: number[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4) words.push(bytes.readUInt32LE(at));
  return words;
}
