// Yielder: keeps long work from blocking the event loop.
import type { Clock } from '../runtime/clock.ts';

/** Maximum time between two yields. */
const STRETCH_MS = 10;

export interface Yielder {
  /** True when the time is over or the signal is aborted: then await `yieldNow()`. */
  shouldYield(): boolean;
  /** Yields to the event loop once. Rejects with the signal's reason if it is aborted. */
  yieldNow(): Promise<void>;
}

/** The first interval starts now. */
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
