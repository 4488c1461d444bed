// Outcomes of a command's jobs: their explanation, the summary at the end, and the exit code.
import { CODES, type Code } from '../runtime/errors.ts';
import { reasonMessage } from '../extract/reasons.ts';
import { sentenceOf, withMark } from '../runtime/sentences.ts';
import { textOf } from './failure.ts';
import { printJson, printNotice } from './terminal.ts';
import type { OutcomeCounts, StallReason, Waiting } from './waiting.ts';

export interface EnqueueCounts {
  readonly queued: number;
  /** Rejected because of the item itself. */
  readonly refused: number;
  /** Not queued for another reason. */
  readonly failed: number;
}

type Outcomes = Pick<Waiting<never>, 'outcomeCounts' | 'left'>;

export const REFUSED = CODES.DOCUMENT_INVALID.exit;
const UNFINISHED = 75;

const NO_OUTCOMES: OutcomeCounts = { done: 0, superseded: 0, dead: 0, parked: 0 };

/** Why a job is dead or parked, with its code, and what happens next. */
export function explainOutcome(state: 'dead' | 'parked', code: Code, reason: string | undefined): string {
  const next = state === 'dead' ? CODES[code].remedy : 'the job resumes automatically';
  return withMark(reasonMessage(code, reason) ?? `${sentenceOf(CODES[code].description)} ${sentenceOf(next)}`, code);
}

/** Message of a command that waits for jobs while none of them ends. `hints`: what is missing, if known. */
export function stallMessage({ error, code }: StallReason, hints: readonly string[] = []): string {
  if (error) return `${textOf(error)} Still waiting.`;
  if (code === undefined && hints.length > 0) return ['No job has finished for 10s.', ...hints].join('\n');
  if (code === undefined) return 'No job has finished for 10s. Check that a worker is running: sealdex status';
  const { description, remedy } = CODES[code];
  return `No job has finished for 10s. Jobs are retrying because ${description} (${code}). ${sentenceOf(remedy)}`;
}

/** `done` is the word for a successful job: `stored`. */
export function summarize(
  counts: EnqueueCounts,
  waiting: Outcomes | undefined,
  { asJson, done }: { readonly asJson: boolean; readonly done: string },
): void {
  const { queued, refused, failed } = counts;
  const outcomeCounts = waiting?.outcomeCounts ?? NO_OUTCOMES;
  const unfinished = waiting?.left ?? 0;
  if (asJson) return printJson({ ...counts, ...outcomeCounts, unfinished });
  const outcomes: [number, string][] = [
    [outcomeCounts.done, done],
    [outcomeCounts.superseded, 'superseded by a newer revision'],
    [outcomeCounts.dead, 'dead'],
    [outcomeCounts.parked, 'parked (they resume automatically; see sealdex keys list)'],
    [unfinished, 'unfinished (still in the queue; see sealdex status)'],
  ];
  const facts: [number, string][] = [
    ...(waiting ? outcomes : [[queued, 'queued'] as [number, string]]),
    [refused, 'refused'],
    [failed, 'failed'],
  ];
  const shown = facts.filter(([count], index) => count > 0 || index === 0);
  printNotice(`${shown.map(([count, what]) => `${count} ${what}`).join(', ')}.`);
}

/** 0: all succeeded; 65: some were rejected or are dead; 75: some are parked or did not finish. */
export function exitCodeOf(
  { refused, failed }: EnqueueCounts,
  waiting: Outcomes | undefined,
  isAllSent: boolean,
): number {
  const { dead, parked } = waiting?.outcomeCounts ?? NO_OUTCOMES;
  if (refused + dead > 0) return REFUSED;
  return failed + parked + (waiting?.left ?? 0) > 0 || !isAllSent ? UNFINISHED : 0;
}
