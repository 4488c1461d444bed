// The system clock with an offset: tests can advance it past thresholds of minutes.
import { systemClock, type Clock, type Timer } from '../../src/runtime/clock.ts';

export class AheadClock implements Clock {
  #aheadMs = 0;
  readonly #timers = new Set<{ readonly at: number; readonly fire: () => void }>();

  now(): number {
    return systemClock.now() + this.#aheadMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#aheadMs;
  }

  after(ms: number, fn: () => void): Timer {
    const fire = (): void => {
      if (!this.#timers.delete(entry)) return;
      timer.cancel();
      fn();
    };
    const timer = systemClock.after(ms, fire);
    const entry = { at: this.monotonic() + ms, fire };
    this.#timers.add(entry);
    return {
      cancel: () => {
        this.#timers.delete(entry);
        timer.cancel();
      },
    };
  }

  /** Advances the clock; timers due by then run now, in order. */
  advance(ms: number): void {
    this.#aheadMs += ms;
    const due = [...this.#timers].filter(({ at }) => at <= this.monotonic()).sort((a, b) => a.at - b.at);
    for (const { fire } of due) fire();
  }
}
