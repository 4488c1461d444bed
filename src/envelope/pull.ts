// Pull readers: a reader is a generator that requests byte counts, and reads from a buffer or a stream. Thus each part of the
// format has one reader. Imports no format code.
import { internalError, tamperedMessage } from './refusal.ts';

/** Reads a part of a message: yields the number of bytes to read next, and receives exactly that many. They stay unchanged. */
export type Pull<T> = Generator<number, T, Buffer>;

/** Bytes of a buffer. */
export class WholeBytes {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** @throws SealdexError `OBJECT_TAMPERED` with reason `truncated` if the reader requests more than there is */
  read<T>(reader: Pull<T>): T {
    let step = reader.next();
    while (step.done !== true) {
      const from = this.#at;
      if (step.value > this.remaining) throw tamperedMessage('truncated');
      this.#at += step.value;
      step = reader.next(this.#bytes.subarray(from, this.#at));
    }
    return step.value;
  }
}

const NOTHING = new Uint8Array(0);

/** Returns the chunk of a stream, or throws: a stream of text would be misread. */
export function asBytes(chunk: Uint8Array): Uint8Array {
  if (!(chunk instanceof Uint8Array)) throw internalError('A stream must yield bytes, not text or objects.');
  return chunk;
}

/** Bytes that arrive in chunks of any size. Holds one chunk and the requested bytes. */
export class StreamBytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  #isOver = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /**
   * @throws SealdexError `OBJECT_TAMPERED` with reason `truncated` if the stream ends first; the stream's own errors unchanged
   */
  async read<T>(reader: Pull<T>): Promise<T> {
    let step = reader.next();
    while (step.done !== true) step = reader.next(await this.#take(step.value));
    return step.value;
  }

  /** Returns true if the stream has ended. Waits for its next byte. */
  async isAtEnd(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      if (!(await this.#next())) return true;
    }
    return false;
  }

  /** Ends the source if it has not ended. May be called twice. Errors of the source are ignored. */
  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#chunk = NOTHING;
    this.#at = 0;
    try {
      await this.#chunks.return?.();
    } catch {
      // The reader has already ended, by an error or by its consumer.
    }
  }

  /** Copies: a source may reuse a chunk's memory for the next one. */
  async #take(count: number): Promise<Buffer> {
    const piece = Buffer.allocUnsafeSlow(count);
    let filled = 0;
    while (filled < count) {
      const step = Math.min(count - filled, this.#chunk.length - this.#at);
      piece.set(this.#chunk.subarray(this.#at, this.#at + step), filled);
      this.#at += step;
      filled += step;
      if (filled < count && !(await this.#next())) throw tamperedMessage('truncated');
    }
    return piece;
  }

  async #next(): Promise<boolean> {
    if (this.#isOver) return false;
    // Set before the call: a source that fails here has ended itself.
    this.#isOver = true;
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#isOver = false;
    this.#chunk = asBytes(next.value);
    this.#at = 0;
    return true;
  }
}
