// Concurrency limiter with a fast and a slow pool: a task that exceeds 250 ms moves to the slow pool and frees its slot.
import type { Clock } from '../runtime/clock.ts';
import { KeyedLimiter } from './keyed-limiter.ts';

/** Maximum time in the fast pool. A KMS call takes tens of milliseconds. */
const MAX_FAST_MS = 250;
const FAST_CONCURRENCY = 16;
/** A quarter of the connections to KMS. */
const SLOW_CONCURRENCY = 64;

const ended = (): void => {};

export class FastSlowLimiter {
  readonly #clock: Clock;
  readonly #quick = new KeyedLimiter(FAST_CONCURRENCY);
  readonly #slow = new KeyedLimiter(SLOW_CONCURRENCY);
  /** Waiting tasks are not canceled: their own deadlines end them. */
  readonly #never = new AbortController().signal;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `work` when a slot is free. `isSlow`: start in the slow pool. @throws what `work` throws */
  async run<T>(isSlow: boolean, work: () => Promise<T>): Promise<T> {
    if (isSlow) return this.#slow.run('', this.#never, work);
    const { promise, resolve } = Promise.withResolvers<{ running: Promise<T> }>();
    await this.#quick.run('', this.#never, async () => {
      const running = work();
      resolve({ running });
      await this.#untilDoneOrSlow(running.then(ended, ended));
    });
    return (await promise).running;
  }

  /** Resolves when the work has ended, or has a slot in the slow pool. */
  #untilDoneOrSlow(end: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(MAX_FAST_MS, () => {
        void this.#slow.run('', this.#never, () => (resolve(), end));
      });
      void end.then(() => (timer.cancel(), resolve()));
    });
  }
}
