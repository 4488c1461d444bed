// Waits until a condition holds: polls until a long deadline.
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 15;
const TIMEOUT_MS = 60_000;

/** @throws Error that names the deadline, if `condition` is never true */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`The condition did not hold within ${TIMEOUT_MS} ms.`);
    await delay(POLL_MS);
  }
}
