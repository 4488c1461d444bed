// Lanes: how many calls of one name run at once, so that what is slow for one tenant fills its own lane only.
// Knows nothing of what the calls do.
import { orAbort } from '../runtime/clock.ts';

interface Lane {
  running: number;
  readonly waiting: Set<() => void>;
}

export class KeyedLimiter {
  readonly #width: number;
  readonly #lanes = new Map<string, Lane>();

  /** `width`: how many run at once in each lane; the others wait in order. */
  constructor(width: number) {
    this.#width = width;
  }

  /** Runs `work` when it is its turn. @throws the signal's reason when that is aborted before; what `work` throws */
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
      // A place that was handed on in the same moment is not lost.
      if (!lane.waiting.delete(enter)) this.#leave(name, lane);
      throw error;
    }
  }

  /** Whoever leaves hands its place on, so nobody comes in between. */
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
