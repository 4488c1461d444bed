// The steps of a job: how long each takes, measured under its name, and which of them hold a slot of the tenant.
// What a step does, it does not know.
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

/** What a job waits for in a phase: for a key all wait together, so nothing is lost when some of them come again later. */
const WAITS_FOR: ReadonlyMap<string, 'key' | 'store'> = new Map([
  ['content', 'store'],
  ['open', 'key'],
  ['encrypt', 'key'],
  ['store', 'store'],
]);

/**
 * Measures steps of a job; one that throws is measured too. What waits for the tenant's key or for S3 counts in its slots; `onOverShare`
 * is called when the tenant has its share of them while this job waits for the key.
 */
export function phasesOf(
  { clock, metrics, slots }: PhaseDeps,
  { kind, tenant }: { readonly kind: JobKind; readonly tenant: string },
  onOverShare?: () => void,
): Phase {
  return async (phase, step) => {
    const begun = clock.monotonic();
    const waitsFor = WAITS_FOR.get(phase);
    const leave = waitsFor && slots.acquire(tenant, waitsFor === 'key' ? onOverShare : undefined);
    try {
      return await step();
    } finally {
      leave?.();
      metrics.observe('sealdex_job_phase_seconds', { kind, phase }, (clock.monotonic() - begun) / 1000);
    }
  };
}
