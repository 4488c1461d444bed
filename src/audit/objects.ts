// Stream of JSON objects: splits bytes into the texts of single objects, in bounded memory. The objects may be one per line,
// concatenated, in an array, or in the list of a CloudTrail envelope.

/** The message continues the file's name, for example `ends in the middle of an event`. */
export class TrailFormatError extends Error {
  override readonly name = 'TrailFormatError';
}

/** List names in a log file (`Records`) and in the output of `aws cloudtrail lookup-events` (`Events`). */
const LISTS: ReadonlySet<string> = new Set(['Records', 'Events']);

/** CloudTrail's limit for an event is below 1 MB. */
const MAX_OBJECT_BYTES = 4_194_304;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const BETWEEN: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0x2c]);
const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** @throws TrailFormatError */
export async function* objectsOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const splitter = new Splitter();
  let isFirst = true;
  for await (const chunk of stream) {
    yield* splitter.feed(isFirst && chunk.subarray(0, 3).equals(MARK) ? chunk.subarray(3) : chunk);
    isFirst = false;
  }
  if (splitter.isInside) throw new TrailFormatError('ends in the middle: fetch it again');
}

const noEvents = (): TrailFormatError => new TrailFormatError('is not a CloudTrail file');

class Splitter {
  /** Current depth in objects and lists, and the depth at which the current object began. */
  #depth = 0;
  #from: number | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isInString = false;
  #isEscaped = false;
  /** The last string directly in an outermost object: the name of the value that follows. */
  #name = '';
  /** The depth of the list whose members are returned; 0 for objects outside a list. */
  #list = 0;

  get isInside(): boolean {
    return this.#depth > 0 || this.#isInString;
  }

  *feed(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at]!;
      if (this.#isInString) this.#inString(byte);
      else if (byte === QUOTE) this.#beginString();
      else if (byte === OPEN || byte === OPEN_LIST) {
        if (this.#opens(byte)) start = at;
      } else if (byte === CLOSE || byte === CLOSE_LIST) {
        if (this.#closes()) yield this.#taken(chunk.subarray(start, at + 1));
      } else if (this.#isBetween && !BETWEEN.has(byte)) throw noEvents();
    }
    if (this.#from !== undefined) this.#hold(chunk.subarray(start));
  }

  /** Whether the position is between members, where only whitespace and commas are allowed. */
  get #isBetween(): boolean {
    return this.#from === undefined && this.#depth === this.#list;
  }

  #inString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#isInString = false;
    else if (this.#depth === 1 && this.#name.length < 16) this.#name += String.fromCharCode(byte);
  }

  #beginString(): void {
    if (this.#isBetween) throw noEvents();
    this.#isInString = true;
    if (this.#depth === 1) this.#name = '';
  }

  /** Whether an object to return begins here. */
  #opens(byte: number): boolean {
    const isMember = this.#isBetween;
    this.#depth += 1;
    if (byte === OPEN && isMember) {
      this.#from = this.#depth;
      return true;
    }
    if (byte === OPEN_LIST && this.#depth === 1) this.#list = 1;
    else if (isMember) throw noEvents();
    else if (byte === OPEN_LIST && this.#depth === 2 && this.#from === 1 && LISTS.has(this.#name)) {
      // The bytes held so far are the envelope of the list.
      this.#from = undefined;
      this.#drop();
      this.#list = 2;
    }
    return false;
  }

  /** Whether the current object ends here. */
  #closes(): boolean {
    if (this.#depth === 0) throw noEvents();
    const isEnd = this.#depth === this.#from;
    if (this.#depth === this.#list && this.#from === undefined) this.#list = this.#depth === 2 ? -1 : 0;
    this.#depth -= 1;
    if (this.#depth === 0) this.#list = 0;
    if (isEnd) this.#from = undefined;
    return isEnd;
  }

  #hold(part: Buffer): void {
    this.#heldBytes += part.length;
    if (this.#heldBytes > MAX_OBJECT_BYTES) throw noEvents();
    this.#held.push(Buffer.from(part));
  }

  #taken(last: Buffer): string {
    this.#hold(last);
    const text = Buffer.concat(this.#held).toString('utf8');
    this.#drop();
    return text;
  }

  #drop(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }
}
