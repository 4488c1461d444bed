// The byte budget of a process: how much content is in work at once. Small jobs pass, large ones take turns.
// Counts bytes and nothing else; what they are for, it does not know.
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';

/** A job whose turn does not come is put back, so that its slot serves others. */
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

  /** Half of `bytes` is for large jobs in turn, half for as many small ones as there are slots. */
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
   * Takes bytes, when their turn comes; the answer gives them back, once. More than the budget has its turn alone.
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

  /** Resolves when the bytes are taken; when it rejects, nothing is taken and nothing waits on. */
  async #wait(bytes: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { bytes, grant: resolve };
    const giveUp = (reason: Error): void => {
      // One that was granted its bytes has taken them.
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
