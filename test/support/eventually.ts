// Waits for a condition by polling it until a deadline; no test sleeps for a fixed time.
import { sleep, systemClock } from '../../src/runtime/clock.ts';

const POLL_MS = 15;

/** Long enough for a machine ten times slower; a condition that already holds takes no more time. */
const TIMEOUT_MS = 280_000;

/**
 * Calls `fn` until it neither throws nor returns undefined or false, and returns its result. Assertions inside it must
 * therefore end with a value: `() => (expect(x).toBe(1), true)`. @throws the last error of `fn`, or an Error that names the
 * deadline
 */
export async function eventually<T>(fn: () => T | Promise<T>): Promise<Exclude<T, undefined | false>> {
  const deadline = systemClock.monotonic() + TIMEOUT_MS;
  for (;;) {
    let failure: unknown = new Error(`The condition did not hold within ${TIMEOUT_MS / 1000} s.`);
    try {
      const value = await fn();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    } catch (error) {
      failure = error;
    }
    if (systemClock.monotonic() > deadline) throw failure;
    await sleep(systemClock, POLL_MS);
  }
}
