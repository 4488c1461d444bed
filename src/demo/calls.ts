// Calls of the demo: retries while a service does not respond, waits for a condition, and closes clients.
import { setTimeout as sleep } from 'node:timers/promises';
import { SealdexError, startWorker, type Code, type RunningWorker, type Settings } from '../index.ts';

/** Codes of a service that did not respond in time, as on a busy machine. */
const OUTAGES: ReadonlySet<Code> = new Set<Code>(['KMS_FAILED', 'STORE_FAILED', 'REDIS_FAILED']);
const POLL_INTERVAL_MS = 20;
/** Far above what any machine needs: only a claim that does not hold takes this long. */
const MAX_WAIT_MS = 300_000;

/** Repeats a call that may be repeated until the services respond. @throws any other error, and its last one after 5 minutes */
export async function withRetries<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = performance.now() + MAX_WAIT_MS;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof SealdexError && OUTAGES.has(error.code)) || performance.now() >= deadline) throw error;
    }
    await sleep(POLL_INTERVAL_MS, undefined, { signal });
  }
}

/** Polls until the condition holds. Returns false if it does not within the time. */
export async function waitUntil(
  isReached: () => Promise<boolean>,
  signal: AbortSignal,
  maxWaitMs: number = MAX_WAIT_MS,
): Promise<boolean> {
  const deadline = performance.now() + maxWaitMs;
  while (!(await withRetries(isReached, signal))) {
    if (performance.now() >= deadline) return false;
    await sleep(POLL_INTERVAL_MS, undefined, { signal });
  }
  return true;
}

/** Opens with the settings of the local services, uses and closes, whether the use succeeds or not. */
export async function using<T extends AsyncDisposable, R>(
  open: (settings: Settings) => Promise<T>,
  { services, signal }: { readonly services: { readonly settings: Settings }; readonly signal: AbortSignal },
  use: (opened: T) => Promise<R>,
): Promise<R> {
  const opened = await withRetries(() => open(services.settings), signal);
  try {
    return await use(opened);
  } finally {
    await opened[Symbol.asyncDispose]();
  }
}

export const openWorker = (settings: Settings): Promise<RunningWorker> => startWorker(settings, { host: '127.0.0.1' });

/** Works on a batch of items at once, one batch after the other. Returns the results in the order of the items. */
export async function inBatches<T, R>(
  items: readonly T[],
  size: number,
  signal: AbortSignal,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += size) {
    signal.throwIfAborted();
    results.push(...(await Promise.all(items.slice(from, from + size).map(work))));
  }
  return results;
}
