// How the readers get their bytes: a reader is a generator that asks for counts, and one of two sources answers, a whole
// buffer or a stream. So each part of the format is read by one piece of code. Knows nothing of the format.
import { internalError, tamperedMessage } from './refusal.ts';

/** Reads a part of a message: yields how many bytes it wants next and gets exactly as many. They stay as they are. */
export type Pull<T> = Generator<number, T, Buffer>;

/** Bytes that are all there. */
export class WholeBytes {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** @throws SealdexError `OBJECT_TAMPERED` with reason `truncated` when the reader wants more than there is. */
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

/** A stream's chunk, or an error: a stream of text would be read as nonsense. */
export function asBytes(chunk: Uint8Array): Uint8Array {
  if (!(chunk instanceof Uint8Array)) throw internalError('A stream must yield bytes, not text or objects.');
  return chunk;
}

/** Bytes that arrive in chunks of any size. Holds one chunk and what the reader waits for, no more. */
export class StreamBytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  #isOver = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** @throws SealdexError `OBJECT_TAMPERED` with reason `truncated` when the stream ends first; the stream's own errors as they are. */
  async read<T>(reader: Pull<T>): Promise<T> {
    let step = reader.next();
    while (step.done !== true) step = reader.next(await this.#take(step.value));
    return step.value;
  }

  /** Whether the stream has ended; waits for its next byte to know. */
  async isAtEnd(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      if (!(await this.#next())) return true;
    }
    return false;
  }

  /** Ends the source if it has not ended; may be called twice. What the source says to that changes nothing. */
  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#chunk = NOTHING;
    this.#at = 0;
    try {
      await this.#chunks.return?.();
    } catch {
      // The reader has ended already, with its own error or by its consumer's wish.
    }
  }

  /** Copies: a source may use a chunk's memory again once it is asked for the next. */
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
    // Over while it is asked: a source that fails here has ended itself.
    this.#isOver = true;
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#isOver = false;
    this.#chunk = asBytes(next.value);
    this.#at = 0;
    return true;
  }
}
