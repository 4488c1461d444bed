// Streamed bodies: the time limit of S3, and the handling of a failing source. Sends nothing itself.
import { Readable } from 'node:stream';
import { systemClock, type Timer } from '../../runtime/clock.ts';
import { StoreError, type StreamedBody } from '../store.ts';

export const lateAnswer = (): StoreError => new StoreError('failed', 'TimeoutError');

/**
 * Calls `send` with the body as a stream and a signal. The signal ends the request at the caller's signal, if the source fails,
 * or if S3 has taken `timeoutMs` in total. Time spent waiting for the source does not count.
 * @throws the error of the source, in preference to the error that it causes in the request; else what `send` throws
 */
export async function sendStream<T>(
  { source }: StreamedBody,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  send: (stream: Readable, ended: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const patience = new PausableTimeout(timeoutMs, () => ending.abort(lateAnswer()));
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
  // The signal reports the failure to the request.
  stream.on('error', () => {});
  patience.resume();
  try {
    return await send(stream, signal ? AbortSignal.any([signal, ending.signal]) : ending.signal);
  } finally {
    patience.end();
    stream.destroy();
  }
}

/** A timeout that can be paused. */
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
