// Canary: one test of the bucket, shared by all jobs that request it at the same time.
// An S3 denial of a job is a platform fault only if the canary fails too.
import { orAbort, type Clock } from '../runtime/clock.ts';
import type { Store } from '../store/store.ts';
import { runCanary } from '../store/system.ts';
import type { Canary } from './outcome.ts';

/** An older result may be from before the outage in question. */
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
