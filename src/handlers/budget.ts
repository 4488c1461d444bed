// Byte budget of a process: limits the content in memory. Small jobs pass at once, large ones wait in a queue.
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';

/** A job that waits longer is deferred, so that its slot serves other jobs. */
const WAIT_MS = 60_000;

interface Waiter {
  readonly bytes: number;
  readonly grant: () => void;
}

export class ByteBudget {
  readonly #clock: Clock;
  readonly #large: number;
  readonly #smallest: number;
  readonly #waiters = new Set<Waiter>();
  #small = 0;
  #taken = 0;

  /** Half of `bytes` is for large jobs, half for as many small ones as there are slots. */
  constructor(clock: Clock, bytes: number, slots: number) {
    this.#clock = clock;
    this.#large = bytes / 2;
    this.#smallest = bytes / 2 / slots;
  }

  get inFlight(): number {
    return this.#small + this.#taken;
  }

  /** Whether `take` would have to wait. */
  isFull(bytes: number): boolean {
    return bytes > this.#smallest && (this.#waiters.size > 0 || !this.#fits(bytes));
  }

  /**
   * Takes bytes, in the order of the calls. Returns a function that gives them back, safe to call twice.
   * A request for more than the budget waits until no other large job holds bytes.
   * @throws SealdexError `MEMORY_BUDGET_FULL` after 60 s, or the signal's reason
   */
  async take(bytes: number, signal: AbortSignal): Promise<() => void> {
    if (bytes <= this.#smallest) {
      this.#small += bytes;
      return once(() => void (this.#small -= bytes));
    }
    if (this.isFull(bytes)) await this.#wait(bytes, signal);
    else this.#taken += bytes;
    return once(() => {
      this.#taken -= bytes;
      this.#grantNext();
    });
  }

  /** Resolves when the bytes are taken. After a rejection nothing is taken and no waiter is left. */
  async #wait(bytes: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { bytes, grant: resolve };
    const giveUp = (reason: Error): void => {
      // Already granted: its bytes are taken.
      if (!this.#waiters.delete(waiter)) return;
      reject(reason);
      this.#grantNext();
    };
    const onAbort = (): void => giveUp(signal.reason as Error);
    const timer = this.#clock.after(WAIT_MS, () => giveUp(new SealdexError('MEMORY_BUDGET_FULL')));
    this.#waiters.add(waiter);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await promise;
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }

  #grantNext(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.bytes)) return;
      this.#taken += waiter.bytes;
      this.#waiters.delete(waiter);
      waiter.grant();
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#large;
  }
}

function once(fn: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) fn();
    isDone = true;
  };
}
