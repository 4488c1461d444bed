// Admission of jobs that need the tenant's key: the tenant exists, its gate is open, and it has less than its share of slots.
// Runs before anything is fetched, so that a parked job costs no call.
import type { JobData } from '../jobs/jobs.ts';
import type { Gates } from '../parking/gate.ts';
import type { Tenant, Tenants } from '../tenants/tenants.ts';
import { deferToOtherJobs } from './outcome.ts';
import type { Outcome } from '../jobs/outcome.ts';
import { phasesOf, type Phase, type PhaseDeps } from './phases.ts';

export interface AdmissionDeps extends PhaseDeps {
  readonly tenants: Pick<Tenants, 'get'>;
  readonly gates: Pick<Gates, 'refusal'>;
}

/** `signal` also ends the job when it waits for the key while other jobs of the tenant hold its share of slots. */
export type Run = (tenant: Tenant, phase: Phase, signal: AbortSignal) => Promise<Outcome>;

/** @throws the gate's error; the error of `run` */
export async function runIfAdmitted(
  deps: AdmissionDeps,
  job: JobData,
  signal: AbortSignal,
  run: Run,
): Promise<Outcome> {
  const tenant = await phasesOf(deps, job)('tenant', () => deps.tenants.get(job.tenant, signal));
  const refusal = deps.gates.refusal(tenant);
  if (refusal) throw refusal;
  if (deps.slots.isOverShare(job.tenant)) return deferToOtherJobs('TENANT_SLOTS_FULL');
  const deferring = new AbortController();
  const onOverShare = (): void => deferring.abort(new Error('other jobs of the tenant have its share of slots'));
  try {
    return await run(tenant, phasesOf(deps, job, onOverShare), AbortSignal.any([signal, deferring.signal]));
  } catch (error) {
    if (deferring.signal.aborted && !signal.aborted) return deferToOtherJobs('TENANT_SLOTS_FULL');
    throw error;
  }
}
