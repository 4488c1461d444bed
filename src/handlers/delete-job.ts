// Delete job: replaces a document with a tombstone. It needs no key, so documents can be deleted while the gate is shut.
import type { DeleteJobData } from '../jobs/jobs.ts';
import { deleteDocument } from '../store/documents.ts';
import { removeOriginal } from '../store/originals.ts';
import type { Store } from '../store/store.ts';
import type { AdmissionDeps } from './admission.ts';
import { deferToOtherJobs } from './outcome.ts';
import type { Outcome } from '../jobs/outcome.ts';
import { phasesOf } from './phases.ts';

export interface DeleteJobDeps extends AdmissionDeps {
  readonly store: Store;
}

export type DeleteJob = DeleteJobData & { readonly id: string };

export async function runDeleteJob(deps: DeleteJobDeps, job: DeleteJob, signal: AbortSignal): Promise<Outcome> {
  const phase = phasesOf(deps, job);
  // The tenant must exist, as for every job. A shut gate does not stop a deletion, but a pause stops all jobs of a tenant.
  const owner = await phase('tenant', () => deps.tenants.get(job.tenant, signal));
  const refusal = deps.gates.refusal(owner);
  if (refusal?.code === 'TENANT_PAUSED') throw refusal;
  if (deps.slots.isOverShare(job.tenant)) return deferToOtherJobs('TENANT_SLOTS_FULL');
  const { id: jobId, tenant, corpus, object, revision } = job;
  const deletion = { tenant, corpus, object, revision, jobId };
  const result = await phase('store', async () => {
    const written = await deleteDocument(deps.store, deps.clock, deletion, signal);
    // Even without a document: an earlier attempt may have been interrupted between the two steps.
    if (written !== 'superseded') await removeOriginal(deps.store, deletion, revision, signal);
    return written;
  });
  return result === 'superseded' ? { kind: 'done', superseded: true } : { kind: 'done' };
}
