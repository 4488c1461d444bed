// NDJSON as bytes: collects lines within a limit, and splits a stream of chunks into lines.
import type { Yielder } from './yielder.ts';

const BLOCK_CHARS = 65_536;

/** Collects JSON lines. Memory is bounded: throws the result of `tooLarge` as soon as a block exceeds `maxBytes`. */
export class LineCollector {
  readonly #maxBytes: number;
  readonly #tooLarge: (field: string) => Error;
  readonly #blocks: Buffer[] = [];
  #pending: string[] = [];
  #pendingChars = 0;
  #bytes = 0;

  constructor(maxBytes: number, tooLarge: (field: string) => Error) {
    this.#maxBytes = maxBytes;
    this.#tooLarge = tooLarge;
  }

  /** `field`: the field of the error if this line exceeds the limit. */
  add(value: object, field: string): void {
    const line = `${JSON.stringify(value)}\n`;
    this.#pending.push(line);
    this.#pendingChars += line.length;
    if (this.#pendingChars >= BLOCK_CHARS) this.#close(field);
  }

  /** Returns all bytes, after `first`. Awaits `makeRoom` with the total size before copying them. */
  async join(
    first: object,
    field: string,
    yielder: Yielder,
    makeRoom?: (bytes: number) => Promise<void>,
  ): Promise<Buffer> {
    this.#close(field);
    const head = Buffer.from(`${JSON.stringify(first)}\n`);
    this.#bytes += head.length;
    if (this.#bytes > this.#maxBytes) throw this.#tooLarge(field);
    await makeRoom?.(this.#bytes);
    const all = Buffer.allocUnsafeSlow(this.#bytes);
    let at = 0;
    for (const block of [head, ...this.#blocks]) {
      if (yielder.shouldYield()) await yielder.yieldNow();
      at += block.copy(all, at);
    }
    return all;
  }

  #close(field: string): void {
    if (this.#pendingChars === 0) return;
    const block = Buffer.from(this.#pending.join(''));
    this.#pending = [];
    this.#pendingChars = 0;
    this.#bytes += block.length;
    this.#blocks.push(block);
    if (this.#bytes > this.#maxBytes) throw this.#tooLarge(field);
  }
}

const LF = 10;

/**
 * Yields the lines of a stream without LF. Bytes after the last LF give an empty line with `isWhole` false. Reads no more from
 * the source than the requested line needs; ending early ends the source.
 */
export async function* splitLines(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<{ bytes: Buffer; isWhole: boolean }> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const take = (last: Uint8Array): Buffer => {
    const bytes = Buffer.concat([...held, last]);
    held = [];
    heldBytes = 0;
    return bytes;
  };
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      yield { bytes: take(chunk.subarray(start, end)), isWhole: true };
      start = end + 1;
    }
    // A copy: the source may reuse its chunk.
    if (start < chunk.length) held.push(Buffer.from(chunk.subarray(start)));
    heldBytes += chunk.length - start;
    if (heldBytes > maxBytes) break;
  }
  // An incomplete line is useless: its bytes are dropped.
  if (heldBytes > 0) yield { bytes: Buffer.alloc(0), isWhole: false };
}
