// Precedence: what can wait steps aside for other jobs in work in this process, so that these hardly notice it.
// Counts jobs; what they are, it does not know.
import { sleep, type Clock } from '../runtime/clock.ts';

/** Where others are always in work, who can wait goes on all the same, this slowly. */
const LONGEST_MS = 50;

export class Precedence {
  readonly #clock: Clock;
  #first = 0;
  #isLastTaken = false;
  #free = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One that goes first is in work until the answer is called. */
  goFirst(): () => void {
    this.#first += 1;
    return () => {
      this.#first -= 1;
      if (this.#first > 0) return;
      this.#free.abort();
      this.#free = new AbortController();
    };
  }

  /** One that can wait is in work until the answer is called, for the first time; undefined while another one is. */
  goLast(): (() => void) | undefined {
    if (this.#isLastTaken) return undefined;
    this.#isLastTaken = true;
    let isOver = false;
    return () => {
      if (!isOver) this.#isLastTaken = false;
      isOver = true;
    };
  }

  /** Between two steps of one that can wait: resolves when none that goes first is in work, or after the longest wait. */
  async giveWay(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#first === 0) return;
    await sleep(this.#clock, LONGEST_MS, AbortSignal.any([signal, this.#free.signal])).catch(() => {});
    signal.throwIfAborted();
  }
}
