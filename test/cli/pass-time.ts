// Advances a fake clock until the work has ended.
import { setImmediate } from 'node:timers/promises';
import type { FakeClock } from '../support/clock.ts';

/** Advances the clock until `work` has ended; returns its value and the elapsed milliseconds. */
export async function pass<T>(clock: FakeClock, work: Promise<T>): Promise<{ value: T; ms: number }> {
  const state = { isOver: false };
  const over = work.finally(() => {
    state.isOver = true;
  });
  over.catch(() => {});
  const from = clock.monotonic();
  while (!state.isOver) {
    await setImmediate();
    clock.advance(50);
  }
  return { value: await over, ms: clock.monotonic() - from };
}
