// Admission of jobs that need the tenant's key: the tenant exists, its gate is open, and neither it nor all tenants without a cached
// data key have their share of slots. Runs before anything is fetched, so that a parked job costs no call.
import type { JobData } from '../jobs/jobs.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { Gates } from '../parking/gate.ts';
import type { Tenant, Tenants } from '../tenants/tenants.ts';
import type { KmsSlot, KmsSlotLimiter } from './kms-slot-limiter.ts';
import { deferToOtherJobs } from './outcome.ts';
import type { Outcome } from '../jobs/outcome.ts';
import { phasesOf, type Phase, type PhaseDeps } from './phases.ts';

export interface AdmissionDeps extends PhaseDeps {
  readonly tenants: Pick<Tenants, 'get'>;
  readonly gates: Pick<Gates, 'refusal'>;
}

export interface KeyAdmissionDeps extends AdmissionDeps {
  readonly ring: Pick<KeyRing, 'isCached'>;
  readonly kmsSlots: KmsSlotLimiter;
}

/** `signal` also ends the job when it waits for the key while other jobs have the share of slots. */
export type Run = (tenant: Tenant, phase: Phase, signal: AbortSignal) => Promise<Outcome>;

/** For a job whose key is cached. */
const NO_KMS_SLOT: KmsSlot = Object.freeze({ wait: () => () => {}, leave: () => {} });

/** @throws the gate's error; the error of `run` */
export async function runIfAdmitted(
  deps: KeyAdmissionDeps,
  job: JobData,
  signal: AbortSignal,
  run: Run,
): Promise<Outcome> {
  const tenant = await phasesOf(deps, job)('tenant', () => deps.tenants.get(job.tenant, signal));
  const refusal = deps.gates.refusal(tenant);
  if (refusal) throw refusal;
  if (deps.slots.isOverShare(job.tenant)) return deferToOtherJobs('TENANT_SLOTS_FULL');
  const deferring = new AbortController();
  let deferred: Outcome | undefined;
  const defer = (outcome: Outcome): void => {
    deferred ??= outcome;
    deferring.abort(new Error('other jobs have the share of slots'));
  };
  const deferToCached = (): Outcome => ({ kind: 'defer', code: 'KMS_SLOTS_FULL', afterMs: deps.kmsSlots.returnMs() });
  const kmsSlot = deps.ring.isCached(tenant, 'documents') ? NO_KMS_SLOT : deps.kmsSlots.enter();
  if (!kmsSlot) return deferToCached();
  const waitForKey = (): (() => void) => {
    const leaveTenant = deps.slots.acquire(job.tenant, () => defer(deferToOtherJobs('TENANT_SLOTS_FULL')));
    const leaveKms = kmsSlot.wait(() => defer(deferToCached()));
    return () => {
      leaveTenant();
      leaveKms();
    };
  };
  try {
    return await run(tenant, phasesOf(deps, job, waitForKey), AbortSignal.any([signal, deferring.signal]));
  } catch (error) {
    if (deferred && !signal.aborted) return deferred;
    throw error;
  } finally {
    kmsSlot.leave();
  }
}
