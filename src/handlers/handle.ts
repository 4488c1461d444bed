// Handler of all jobs: parses a job, sets its deadline, runs it by kind, and reports the outcome to gates, log and metrics.
// Returns an outcome; throws only to hand a job back.
import { withAuditContext } from '../runtime/audit-log.ts';
import { orAbort } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { parseJob, type JobData, type JobKind, type TakenJob } from '../jobs/jobs.ts';
import { faultOf } from '../runtime/fault.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { isJobId } from '../runtime/names.ts';
import { runDeleteJob, type DeleteJobDeps } from './delete-job.ts';
import { runIndexJob, type IndexJobDeps } from './index-job.ts';
import { outcomeOf, type Canary } from './outcome.ts';
import type { Outcome } from '../jobs/outcome.ts';
import { runReencryptJob, type ReencryptJobDeps } from './reencrypt-job.ts';
import { runUploadJob, type UploadJobDeps } from './upload-job.ts';

/** Dependencies of all job kinds, and the receivers of outcomes. */
export interface HandlerDeps extends DeleteJobDeps, IndexJobDeps, UploadJobDeps, ReencryptJobDeps {
  readonly log: Log;
  readonly canary: Canary;
  /** Called with each error of a tenant's job, so that a job that fails with an operator stop is parked at a shut gate. */
  readonly enforceOperatorStop: (tenant: string, error: SealdexError) => Promise<void>;
  // A re-encryption job needs more of these than the other jobs do.
  readonly tenants: ReencryptJobDeps['tenants'];
  readonly gates: ReencryptJobDeps['gates'];
}

/** Deadline of every job. */
export const JOB_MS = 300_000;

/** @throws the reason of `handBack` if it is aborted before the job has an outcome; the job is then handed back */
export function createHandler(deps: HandlerDeps): (job: TakenJob, handBack: AbortSignal) => Promise<Outcome> {
  const { clock, metrics, log, canary, backgroundGate } = deps;
  return async (job, handBack) => {
    handBack.throwIfAborted();
    // Not AbortSignal.any(): its cost would dominate for a job that is parked at once.
    const ending = new AbortController();
    const { signal } = ending;
    const onHandBack = (): void => ending.abort(handBack.reason);
    handBack.addEventListener('abort', onHandBack);
    const timer = clock.after(JOB_MS, () => ending.abort(new SealdexError('DEADLINE')));
    let kind: JobKind | 'unknown' = 'unknown';
    let tenant = '';
    let leave: (() => void) | undefined;
    try {
      if (!isJobId(job.id)) throw new SealdexError('JOB_INVALID', undefined, { field: 'id' });
      const data = parseJob(job.data);
      ({ kind, tenant } = data);
      if (kind !== 'reencrypt') leave = backgroundGate.enterForeground();
      // The slot is free at the deadline even if a step hangs; steps that observe the signal end then too.
      const work = withAuditContext({ job: job.id }, () =>
        enforcingStops(deps, tenant, runJob(deps, job.id, data, signal)),
      );
      const outcome = await orAbort(work, signal);
      countOutcome(metrics, kind, outcome);
      return outcome;
    } catch (error) {
      handBack.throwIfAborted();
      const fault = signal.aborted ? signal.reason : error;
      const context = { tenant, ageMs: clock.now() - job.queuedAt, parkedMaxMs: deps.config.parkedMaxMs };
      const outcome = await outcomeOf(fault, context, canary, handBack);
      handBack.throwIfAborted();
      countOutcome(metrics, kind, outcome);
      // A deferral is never a failure.
      if (outcome.kind === 'defer') return outcome;
      const facts = faultOf(fault);
      metrics.count('sealdex_job_failures_total', { code: facts.code, reason: facts.reason ?? facts.cause ?? '' });
      // The shut gate is logged once, not for each of its jobs.
      if (outcome.kind === 'park') return outcome;
      log.warn(
        { job: isJobId(job.id) ? job.id : '-', ...(tenant === '' ? {} : { tenant }), kind, outcome, ...facts },
        outcome.kind === 'dead' ? 'job moved to dead letters' : 'job will be retried',
      );
      return outcome;
    } finally {
      leave?.();
      timer.cancel();
      handBack.removeEventListener('abort', onHandBack);
    }
  };
}

function countOutcome(metrics: Metrics, kind: JobKind | 'unknown', outcome: Outcome): void {
  metrics.count('sealdex_jobs_total', { kind, outcome: 'superseded' in outcome ? 'superseded' : outcome.kind });
  if (outcome.kind === 'defer') metrics.count('sealdex_jobs_deferred_total', { code: outcome.code });
}

async function runJob(deps: HandlerDeps, id: string, data: JobData, signal: AbortSignal): Promise<Outcome> {
  if (data.kind === 'delete') return runDeleteJob(deps, { id, ...data }, signal);
  if (data.kind === 'upload') return runUploadJob(deps, { id, ...data }, signal);
  if (data.kind === 'reencrypt') return runReencryptJob(deps, { id, ...data }, signal);
  return runIndexJob(deps, { id, ...data }, signal);
}

/** @throws the error of `work`; that of `enforceOperatorStop` if the gate could not be shut: the job is then retried */
async function enforcingStops<T>({ enforceOperatorStop }: HandlerDeps, tenant: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof SealdexError) await enforceOperatorStop(tenant, error);
    throw error;
  }
}
