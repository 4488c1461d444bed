// Turns for work that is mostly quick: a few at once, and what hangs leaves its place to the next and goes on among the slow.
// Knows nothing of what the work is, but who has to go there from the beginning.
import type { Clock } from '../runtime/clock.ts';
import { KeyedLimiter } from './keyed-limiter.ts';

/** How long a place is kept. A call to KMS takes some tens of milliseconds. */
const QUICK_MS = 250;
const QUICK_AT_ONCE = 16;
/** A quarter of the connections to KMS. */
const SLOW_AT_ONCE = 64;

const ended = (): void => {};

export class FastSlowLimiter {
  readonly #clock: Clock;
  readonly #quick = new KeyedLimiter(QUICK_AT_ONCE);
  readonly #slow = new KeyedLimiter(SLOW_AT_ONCE);
  /** Whoever waits is not called off: what it does then fails by itself. */
  readonly #never = new AbortController().signal;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `work` when it is its turn; `isSlow`: it was lately. @throws what `work` throws */
  async run<T>(isSlow: boolean, work: () => Promise<T>): Promise<T> {
    if (isSlow) return this.#slow.run('', this.#never, work);
    const { promise, resolve } = Promise.withResolvers<{ running: Promise<T> }>();
    await this.#quick.run('', this.#never, async () => {
      const running = work();
      resolve({ running });
      await this.#quickOrAmongSlow(running.then(ended, ended));
    });
    return (await promise).running;
  }

  /** Resolves when the work has ended, or has a place among the slow. */
  #quickOrAmongSlow(end: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(QUICK_MS, () => {
        void this.#slow.run('', this.#never, () => (resolve(), end));
      });
      void end.then(() => (timer.cancel(), resolve()));
    });
  }
}
