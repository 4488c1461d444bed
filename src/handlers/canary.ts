// The canary: one look whether the bucket works, shared by all jobs that ask at the same time.
// A refusal that a job met is the platform's fault only if the canary fails too.
import { orAbort, type Clock } from '../runtime/clock.ts';
import type { Store } from '../store/store.ts';
import { runCanary } from '../store/system.ts';
import type { Canary } from './outcome.ts';

/** Longer, and its answer would be older than the outage that is asked about. */
const FRESH_MS = 500;

export function createCanary(store: Store, queue: string, clock: Clock): Canary {
  let last: { at: number; isGood: Promise<boolean> } | undefined;
  return (signal) => {
    if (!last || clock.monotonic() - last.at > FRESH_MS) {
      const isGood = runCanary(store, queue).then(
        () => true,
        () => false,
      );
      last = { at: clock.monotonic(), isGood };
    }
    return orAbort(last.isGood, signal);
  };
}
