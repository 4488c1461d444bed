// A body that is sent as it comes: what S3 may keep us waiting, and what becomes of it when its source fails.
// Sends nothing itself.
import { Readable } from 'node:stream';
import { systemClock, type Timer } from '../../runtime/clock.ts';
import { StoreError, type StreamedBody } from '../store.ts';

export const lateAnswer = (): StoreError => new StoreError('failed', 'TimeoutError');

/**
 * Calls `send` with the body as a stream, and a signal that ends the request: at the caller's signal, when the source fails, and when
 * S3 has kept us waiting for `patienceMs` in all. While the source is awaited S3's time stands still.
 * @throws what the source threw, before what became of the request by that; else what `send` throws
 */
export async function sendStream<T>(
  { source }: StreamedBody,
  patienceMs: number,
  signal: AbortSignal | undefined,
  send: (stream: Readable, ended: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const patience = new PausableTimeout(patienceMs, () => ending.abort(lateAnswer()));
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      patience.pause();
      for await (const chunk of source) {
        patience.resume();
        yield chunk;
        patience.pause();
      }
      patience.resume();
    } catch (error) {
      ending.abort(error);
      throw error;
    }
  }
  const stream = Readable.from(watched(), { objectMode: false });
  // The request hears of it by the signal.
  stream.on('error', () => {});
  patience.resume();
  try {
    return await send(stream, signal ? AbortSignal.any([signal, ending.signal]) : ending.signal);
  } finally {
    patience.end();
    stream.destroy();
  }
}

/** Time that runs only while it is not paused. */
class PausableTimeout {
  #leftMs: number;
  #since = 0;
  #timer: Timer | undefined;
  #isOver = false;
  readonly #onEnd: () => void;

  constructor(ms: number, onEnd: () => void) {
    this.#leftMs = ms;
    this.#onEnd = onEnd;
  }

  resume(): void {
    if (this.#isOver || this.#timer) return;
    this.#since = systemClock.monotonic();
    this.#timer = systemClock.after(this.#leftMs, this.#onEnd);
  }

  pause(): void {
    if (!this.#timer) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#leftMs -= systemClock.monotonic() - this.#since;
  }

  end(): void {
    this.pause();
    this.#isOver = true;
  }
}
