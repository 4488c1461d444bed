// Cuts a stream of chunks into the plaintexts of frames. Imports no encryption code.
import type { FrameKind } from './body.ts';
import { asBytes } from './pull.ts';

export interface Cut {
  readonly kind: FrameKind;
  /** Valid until the next one is requested. */
  readonly plaintext: Uint8Array;
}

/**
 * Yields regular frames as they fill, then the final one with the rest: less than a frame, possibly empty. Holds one chunk and
 * one frame. Without the end of the source there is no final frame; its errors are rethrown unchanged.
 */
export async function* cutIntoFrames(
  source: AsyncIterable<Uint8Array>,
  frameBytes: number,
): AsyncGenerator<Cut, void, undefined> {
  let frame: Buffer = Buffer.alloc(0);
  let filled = 0;
  for await (const chunk of source) {
    let rest = asBytes(chunk);
    if (filled === 0) {
      // Whole frames are not copied.
      for (; rest.length >= frameBytes; rest = rest.subarray(frameBytes)) {
        yield { kind: 'regular', plaintext: rest.subarray(0, frameBytes) };
      }
    }
    while (rest.length > 0) {
      if (frame.length === 0) frame = Buffer.allocUnsafeSlow(frameBytes);
      const taken = rest.subarray(0, frameBytes - filled);
      frame.set(taken, filled);
      filled += taken.length;
      rest = rest.subarray(taken.length);
      if (filled === frameBytes) {
        yield { kind: 'regular', plaintext: frame };
        filled = 0;
      }
    }
  }
  yield { kind: 'final', plaintext: frame.subarray(0, filled) };
}
