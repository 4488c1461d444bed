// How a command that enqueues tells what became of its jobs: lines and a bar for people, lines alone for machines, the
// counts at the end, and the exit code. What the jobs do is not known here.
import { CODES } from '../runtime/errors.ts';
import { reasonMessage } from '../extract/reasons.ts';
import { textOf } from './failure.ts';
import type { EnqueueCounts } from './enqueue-batch.ts';
import { progressBar, printJson, printNotice } from './terminal.ts';
import type { OutcomeCounts, Waiting, WaitingDeps } from './waiting.ts';

const REFUSED = 65;
const UNFINISHED = 75;

const NO_OUTCOMES: OutcomeCounts = { done: 0, superseded: 0, dead: 0, parked: 0 };

export interface View<Job> extends Pick<WaitingDeps<Job>, 'onEnd' | 'onProgress' | 'onStall'> {
  end(): void;
}

export interface ViewOptions<Job> {
  readonly asJson: boolean;
  /** What a job that is done has done: `stored`. */
  readonly done: string;
  /** What the job is about, for machines and for people. */
  readonly factsOf: (job: Job) => object;
  readonly nameOf: (job: Job) => string;
}

/** How a wait looks. */
export function viewOf<Job extends { readonly jobId: string }>(options: ViewOptions<Job>): View<Job> {
  const { asJson, done, factsOf, nameOf } = options;
  const progress = asJson ? undefined : progressBar(done);
  return {
    onEnd(job, state, { code, reason }) {
      if (asJson) printJson({ ...factsOf(job), jobId: job.jobId, state, code, reason });
      else if ((state === 'dead' || state === 'parked') && code !== undefined) {
        const next = state === 'dead' ? CODES[code].todo : 'it goes on by itself when that is over';
        const why = reasonMessage(code, reason) ?? `${CODES[code].means}; ${next}`;
        printNotice(`${state}  ${job.jobId}  ${nameOf(job)}  ${why} (${code})`);
      }
    },
    onProgress: (ended, total) => progress?.update(ended, total),
    onStall: (error) =>
      printNotice(
        error
          ? `${textOf(error)} Waiting for it.`
          : 'Nothing has ended for 10 seconds: does a worker run? sealdex status tells.',
      ),
    end: () => progress?.end(),
  };
}

export function summarize(
  counts: EnqueueCounts,
  waiting: Pick<Waiting<never>, 'outcomeCounts' | 'left'> | undefined,
  { asJson, done }: { readonly asJson: boolean; readonly done: string },
): void {
  const { queued, refused, failed } = counts;
  const outcomeCounts = waiting?.outcomeCounts ?? NO_OUTCOMES;
  const unfinished = waiting?.left ?? 0;
  if (asJson) return printJson({ ...counts, ...outcomeCounts, unfinished });
  const ends: [number, string][] = [
    [outcomeCounts.done, done],
    [outcomeCounts.superseded, 'superseded by a newer revision'],
    [outcomeCounts.dead, 'dead'],
    [outcomeCounts.parked, 'parked (they go on by themselves; sealdex keys list tells who acts)'],
    [unfinished, 'not finished (they stay in the queue; sealdex status shows it)'],
  ];
  const facts: [number, string][] = [
    ...(waiting ? ends : [[queued, 'queued'] as [number, string]]),
    [refused, 'refused'],
    [failed, 'failed'],
  ];
  const told = facts.filter(([count], index) => count > 0 || index === 0);
  printNotice(`${told.map(([count, what]) => `${count} ${what}`).join(', ')}.`);
}

/** 0: all well; 65: some were refused or ended dead; 75: some are parked or did not finish. */
export function exitCodeOf(
  { refused, failed }: EnqueueCounts,
  waiting: Pick<Waiting<never>, 'outcomeCounts' | 'left'> | undefined,
  isAllSent: boolean,
): number {
  const { dead, parked } = waiting?.outcomeCounts ?? NO_OUTCOMES;
  if (refused + dead > 0) return REFUSED;
  return failed + parked + (waiting?.left ?? 0) > 0 || !isAllSent ? UNFINISHED : 0;
}
