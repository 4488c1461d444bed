// Waits for a condition by looking at it again and again until a deadline; no test sleeps for a fixed time.
import { sleep, systemClock } from '../../src/runtime/clock.ts';

const POLL_MS = 15;

/**
 * Long enough for a process to start on a machine that has other things to do, and shorter than the locks and checks by
 * which a job of a dead worker comes back: what waits for those says so.
 */
const TIMEOUT_MS = 20_000;

/**
 * Calls `fn` until it neither throws nor answers undefined or false, and answers what it answered. Assertions inside
 * it must therefore end with an answer: `() => (expect(x).toBe(1), true)`.
 * @throws the last error of `fn`, or an Error that names the deadline.
 */
export async function eventually<T>(
  fn: () => T | Promise<T>,
  { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = systemClock.monotonic() + timeoutMs;
  for (;;) {
    let failure: unknown = new Error(
      `The condition did not hold (nothing but undefined or false came back) within ${timeoutMs} ms.`,
    );
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
