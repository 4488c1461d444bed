// Keeps long work from holding the event loop: says when it is time to let others run, and lets them.
import type { Clock } from '../runtime/clock.ts';

/** How long work may go on without letting others run. */
const STRETCH_MS = 10;

export interface Yielder {
  /** True when the stretch is over or the signal was aborted: then await `rest()`. */
  shouldYield(): boolean;
  /** Lets the event loop turn once. Rejects with the signal's reason when it is aborted. */
  yieldNow(): Promise<void>;
}

/** The first stretch begins now. */
export function createYielder(clock: Clock, signal?: AbortSignal): Yielder {
  let since = clock.monotonic();
  return {
    shouldYield: () => signal?.aborted === true || clock.monotonic() - since >= STRETCH_MS,
    async yieldNow() {
      signal?.throwIfAborted();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      signal?.throwIfAborted();
      since = clock.monotonic();
    },
  };
}
