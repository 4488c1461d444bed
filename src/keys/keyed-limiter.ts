// Concurrency limiter per key: a slow tenant only fills its own slots.
import { orAbort } from '../runtime/clock.ts';

interface Lane {
  running: number;
  readonly waiting: Set<() => void>;
}

export class KeyedLimiter {
  readonly #width: number;
  readonly #lanes = new Map<string, Lane>();

  /** `width`: concurrent calls per key; further calls wait in order. */
  constructor(width: number) {
    this.#width = width;
  }

  /** Runs `work` when a slot is free. @throws the signal's reason if it is aborted first; what `work` throws */
  async run<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(name) ?? { running: 0, waiting: new Set() };
    this.#lanes.set(name, lane);
    if (lane.running >= this.#width) await this.#turn(name, lane, signal);
    else lane.running += 1;
    try {
      return await work();
    } finally {
      this.#leave(name, lane);
    }
  }

  async #turn(name: string, lane: Lane, signal: AbortSignal): Promise<void> {
    let enter = (): void => {};
    const entered = new Promise<void>((resolve) => {
      enter = resolve;
      lane.waiting.add(enter);
    });
    try {
      await orAbort(entered, signal);
    } catch (error) {
      // A slot that was granted at the same moment is passed on.
      if (!lane.waiting.delete(enter)) this.#leave(name, lane);
      throw error;
    }
  }

  /** A released slot goes to the next waiter, so a new caller cannot overtake it. */
  #leave(name: string, lane: Lane): void {
    const [next] = lane.waiting;
    if (next === undefined) {
      lane.running -= 1;
      if (lane.running === 0) this.#lanes.delete(name);
    } else {
      lane.waiting.delete(next);
      next();
    }
  }
}
