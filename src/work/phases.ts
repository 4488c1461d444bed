// How long the steps of a job take: each is measured under its name, whatever it does.
import type { JobKind } from '../jobs.ts';
import type { WorkDeps } from './deps.ts';

export type Phase = <T>(name: string, step: () => Promise<T>) => Promise<T>;

/** In these a job waits for the tenant's KMS key or for S3. */
const WAITING: ReadonlySet<string> = new Set(['content', 'open', 'encrypt', 'store']);

/** Measures steps of a job; one that throws is measured too. What waits for the tenant's key or for S3 counts in its slots. */
export function phasesOf(
  { clock, metrics, slots }: Pick<WorkDeps, 'clock' | 'metrics' | 'slots'>,
  { kind, tenant }: { readonly kind: JobKind; readonly tenant: string },
): Phase {
  return async (phase, step) => {
    const begun = clock.monotonic();
    const leave = WAITING.has(phase) ? slots.enter(tenant) : undefined;
    try {
      return await step();
    } finally {
      leave?.();
      metrics.observe('sealdex_job_phase_seconds', { kind, phase }, (clock.monotonic() - begun) / 1000);
    }
  };
}
