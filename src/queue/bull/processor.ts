// Job processor: runs the handler of a taken job, settles its outcome, and hands jobs back when the process stops.
// Every job is settled or handed back unchanged, whatever the handler does.
import type { TakenJob } from '../../jobs/jobs.ts';
import { faultOf } from '../../runtime/fault.ts';
import type { Log } from '../../runtime/log.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { isJobId } from '../../runtime/names.ts';
import type { Outcome } from '../../jobs/outcome.ts';
import { afterStall } from './after-stall.ts';
import type { QueueJob } from './safe-worker.ts';
import { handBack, settle, type SettleDeps } from './settle.ts';

/** @throws only the signal's reason; the job is then handed back */
export type Handle = (job: TakenJob, signal: AbortSignal) => Promise<Outcome>;

export interface ProcessorDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly handle: Handle;
  readonly onOutcome: (outcome: Outcome) => void;
  /** Returns 0 to 1: the part of the maximum delay after a stall. Random by default. */
  readonly afterStall?: (() => number) | undefined;
}

export interface QueueProcessor {
  run(job: QueueJob, token: string, hasStalledOut: boolean): Promise<null>;
  readonly active: () => number;
  /** Hands back the jobs in progress; jobs that are taken later run. */
  readonly abort: () => void;
  readonly handedBack: () => number;
}

export function createProcessor(deps: ProcessorDeps, settling: SettleDeps): QueueProcessor {
  let handingBack = new AbortController();
  let active = 0;
  let handed = 0;

  const handled = async (job: QueueJob): Promise<Outcome | undefined> => {
    const { signal } = handingBack;
    try {
      return await deps.handle({ id: job.id ?? '', data: job.data, queuedAt: job.timestamp }, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      deps.log.error(faultOf(error), 'job handler threw');
      return { kind: 'retry', code: 'INTERNAL', spendsAttempt: true };
    }
  };

  const waitAfterStall = async (job: QueueJob): Promise<Outcome | undefined> => {
    const entry = `${settling.keys.prefix}:${job.queueName}:${job.id}`;
    return afterStall(settling.redis, entry, job.stalledCounter, deps.afterStall);
  };

  return {
    async run(job, token, hasStalledOut) {
      active += 1;
      try {
        const wait = hasStalledOut ? undefined : await waitAfterStall(job);
        if (wait) {
          deps.metrics.count('sealdex_jobs_deferred_total', { code: 'STALLED' });
          return await settle(settling, job, token, wait);
        }
        const outcome: Outcome | undefined = hasStalledOut
          ? { kind: 'dead', code: 'STALLED_TOO_OFTEN' }
          : await handled(job);
        if (hasStalledOut) countStalledOut(deps, job);
        if (!outcome) {
          const back = await handBack(job, token);
          handed += 1;
          throw back;
        }
        deps.onOutcome(outcome);
        return await settle(settling, job, token, outcome);
      } finally {
        active -= 1;
      }
    },
    active: () => active,
    abort() {
      handingBack.abort(new Error('hand back'));
      handingBack = new AbortController();
    },
    handedBack: () => handed,
  };
}

/** The handler counts and logs all other dead letters, but is not called for this one. */
function countStalledOut({ log, metrics }: ProcessorDeps, { id }: QueueJob): void {
  metrics.count('sealdex_jobs_total', { kind: 'unknown', outcome: 'dead' });
  metrics.count('sealdex_job_failures_total', { code: 'STALLED_TOO_OFTEN', reason: '' });
  log.warn({ job: isJobId(id) ? id : '-', code: 'STALLED_TOO_OFTEN' }, 'job moved to dead letters');
}
