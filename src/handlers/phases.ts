// Phases of a job: measures the duration of each step by name, and counts the steps that hold a slot of the tenant.
import type { JobKind } from '../jobs/jobs.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { TenantSlotLimiter } from './tenant-slot-limiter.ts';

export interface PhaseDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly slots: TenantSlotLimiter;
}

export type Phase = <T>(name: string, step: () => Promise<T>) => Promise<T>;

/** What a job waits for in a phase. Jobs that wait for a key wait for the same call, so deferring some of them costs nothing. */
const WAITS_FOR: ReadonlyMap<string, 'key' | 'store'> = new Map([
  ['content', 'store'],
  ['open', 'key'],
  ['encrypt', 'key'],
  ['store', 'store'],
]);

/**
 * Measures the steps of a job, failed ones included. Steps that wait for the tenant's key or for S3 count in its slots.
 * `waitForKey` is called at the start of a step that waits for the key, and its result at the end.
 */
export function phasesOf(
  { clock, metrics, slots }: PhaseDeps,
  { kind, tenant }: { readonly kind: JobKind; readonly tenant: string },
  waitForKey?: () => () => void,
): Phase {
  return async (phase, step) => {
    const begun = clock.monotonic();
    const waitsFor = WAITS_FOR.get(phase);
    const wait = waitsFor === 'key' && waitForKey ? waitForKey : () => slots.acquire(tenant);
    const leave = waitsFor && wait();
    try {
      return await step();
    } finally {
      leave?.();
      metrics.observe('sealdex_job_phase_seconds', { kind, phase }, (clock.monotonic() - begun) / 1000);
    }
  };
}
