// Concurrency limiter per key: a slow tenant only fills its own slots.
import { orAbort } from '../runtime/clock.ts';

interface Slots {
  running: number;
  readonly waiting: Set<() => void>;
}

export class KeyedLimiter {
  readonly #width: number;
  readonly #slotsByKey = new Map<string, Slots>();

  /** `width`: concurrent calls per key; further calls wait in order. */
  constructor(width: number) {
    this.#width = width;
  }

  /** Runs `work` when a slot is free. @throws the signal's reason if it is aborted first; what `work` throws */
  async run<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const slots = this.#slotsByKey.get(name) ?? { running: 0, waiting: new Set() };
    this.#slotsByKey.set(name, slots);
    if (slots.running >= this.#width) await this.#acquire(name, slots, signal);
    else slots.running += 1;
    try {
      return await work();
    } finally {
      this.#release(name, slots);
    }
  }

  async #acquire(name: string, slots: Slots, signal: AbortSignal): Promise<void> {
    let start = (): void => {};
    const started = new Promise<void>((resolve) => {
      start = resolve;
      slots.waiting.add(start);
    });
    try {
      await orAbort(started, signal);
    } catch (error) {
      // A slot that was granted at the same moment is passed on.
      if (!slots.waiting.delete(start)) this.#release(name, slots);
      throw error;
    }
  }

  /** A released slot goes to the next waiter, so a new caller cannot overtake it. */
  #release(name: string, slots: Slots): void {
    const [next] = slots.waiting;
    if (next === undefined) {
      slots.running -= 1;
      if (slots.running === 0) this.#slotsByKey.delete(name);
    } else {
      slots.waiting.delete(next);
      next();
    }
  }
}
