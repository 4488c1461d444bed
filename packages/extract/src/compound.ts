// The compound file (CFB, MS-CFB) around DOC and PPT: its names, and one stream at a time. Trusts no number that it reads: chains
// are followed for no more sectors than there are. Knows nothing of what is in the streams.
import { FileError } from './file-error.ts';

const MAGIC = Buffer.from('d0cf11e0a1b11ae1', 'hex');
const ENTRY_BYTES = 128;
/** Real files have some dozens. */
const MAX_ENTRIES = 100_000;
const MINI_SECTOR = 64;
/** Where an entry has the number of its siblings, and of the first entry inside of it. */
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
  /** Names of the storages and streams at the top. */
  readonly names: ReadonlySet<string>;
  /** The stream of that name at the top; undefined without one. @throws FileError `damaged` */
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

/** What stands in the root itself: embedded objects have streams of the same names further down. */
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

  /** The chain from `start`, cut to `size` bytes. */
  read(start: number, size?: number): Buffer {
    const sectorBytes = 1 << this.#shift;
    const wanted = size === undefined ? this.#fat.length : Math.ceil(size / sectorBytes);
    if (wanted > this.#fat.length) throw new FileError('damaged');
    const chunks = chain(start, this.#fat, wanted, size !== undefined).map((sector) => this.#sector(sector));
    const whole = Buffer.concat(chunks);
    if (size !== undefined && whole.length < size) throw new FileError('damaged');
    return size === undefined ? whole : whole.subarray(0, size);
  }

  /** A small stream: its sectors of 64 bytes are in the root's stream. */
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
    const most = Math.ceil(this.#bytes.length / 2 ** this.#shift);
    const places = wordsOf(this.#bytes.subarray(76, 512));
    let next = this.#bytes.readUInt32LE(68);
    for (let seen = 0; next < most && seen < most; seen += 1) {
      const words = wordsOf(this.#sector(next));
      next = words.pop() ?? most;
      for (const word of words) places.push(word);
    }
    // As many sectors of the table as the file can need: more are loops.
    const needed = Math.ceil(most / 2 ** (this.#shift - 2));
    const used = places.filter((place) => place < most).slice(0, needed);
    return used.flatMap((place) => wordsOf(this.#sector(place))).slice(0, most);
  }
}

/** Numbers of a chain. One that is wanted in full must not end early; none is followed further than it is wanted. */
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
