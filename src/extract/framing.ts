// Frames on a pipe between worker and extraction process: a JSON header and bytes, each with its length.
import { parseRaw } from '../runtime/json.ts';

/** u32 length of the header, u32 length of the body, big endian; then header and body. */
const PREFIX_BYTES = 8;

export interface Frame {
  readonly header: unknown;
  readonly body: Buffer;
}

/** The pieces of a frame, to write in this order. */
export function framePieces(header: object, body: Buffer = Buffer.alloc(0)): Buffer[] {
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(text.length, 0);
  prefix.writeUInt32BE(body.length, 4);
  return body.length === 0 ? [prefix, text] : [prefix, text, body];
}

export interface FrameBounds {
  readonly headerBytes: number;
  readonly bodyBytes: number;
}

/**
 * Assembles frames from chunks. Each byte is copied on arrival, so that a large frame does not block the event loop at its end.
 */
export class FrameReader {
  readonly #bounds: FrameBounds;
  #into = Buffer.alloc(PREFIX_BYTES);
  #filled = 0;
  /** Undefined until the prefix is complete. */
  #headerBytes: number | undefined;

  constructor(bounds: FrameBounds) {
    this.#bounds = bounds;
  }

  /** Returns the frames that this chunk completes. @throws Error if a frame exceeds the limits or is invalid */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < chunk.length;) {
      const copied = chunk.copy(this.#into, this.#filled, at);
      at += copied;
      this.#filled += copied;
      if (this.#filled === this.#into.length) frames.push(...this.#turn());
    }
    return frames;
  }

  #turn(): Frame[] {
    const full = this.#into;
    const headerBytes = this.#headerBytes;
    this.#filled = 0;
    if (headerBytes === undefined) {
      this.#begin(full.readUInt32BE(0), full.readUInt32BE(4));
      return [];
    }
    this.#into = Buffer.alloc(PREFIX_BYTES);
    this.#headerBytes = undefined;
    return [{ header: parse(full.subarray(0, headerBytes)), body: full.subarray(headerBytes) }];
  }

  /** A header is never empty, so neither is the buffer. */
  #begin(header: number, body: number): void {
    const { headerBytes, bodyBytes } = this.#bounds;
    if (header === 0 || header > headerBytes || body > bodyBytes)
      throw new Error('The frame is outside the size limits.');
    this.#headerBytes = header;
    this.#into = Buffer.allocUnsafeSlow(header + body);
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return parseRaw(bytes.toString());
  } catch {
    throw new Error('The header of the frame is not valid JSON.');
  }
}
