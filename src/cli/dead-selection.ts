// Selection of dead letters, by ids or by a filter: counts them before the command changes anything.
import type { LetterFilter, Operator } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { filterOf, type FilterOptions } from './dead-filter.ts';
import { exitCodeOf, Interrupted, UsageError } from './failure.ts';
import { printNotice, progressBar } from './terminal.ts';
import { host } from './host.ts';

interface All {
  readonly all?: true;
}

export interface Selection {
  readonly filter: LetterFilter;
  readonly codes: ReadonlyMap<string, number>;
  readonly total: number;
}

/** @throws UsageError unless jobs, a filter or `--all` is given, and `--all` is alone */
export function checkSelection(jobs: readonly string[], { tenant, code, since, all }: FilterOptions & All): void {
  const isChosen = jobs.length > 0 || [tenant, code, since].some((option) => option !== undefined);
  if (!isChosen && !all) throw new UsageError('Specify job ids, --tenant, --code or --since, or use --all.');
  if (isChosen && all) throw new UsageError('--all cannot be combined with job ids or filters.');
}

/** Prints a notice if some of the jobs are not dead letters, and continues with the others. */
export async function selectLetters(
  operator: Operator,
  jobs: readonly string[],
  options: FilterOptions,
  before: number,
  signal: AbortSignal,
): Promise<Selection> {
  const filter = { ...filterOf(options), ...(jobs.length === 0 ? {} : { jobIds: jobs }), before };
  const codes = await operator.deadTally(filter, signal);
  const total = [...codes.values()].reduce((sum, count) => sum + count, 0);
  const missing = new Set(jobs).size - total;
  if (missing > 0 && options.limit === undefined) {
    printNotice(
      missing === 1
        ? '1 job is not a dead letter or does not match the filter.'
        : `${missing} jobs are not dead letters or do not match the filter.`,
    );
    host().exitCode = CODES.NOT_FOUND.exit;
  }
  return { filter, codes, total };
}

interface Progressing<Result> {
  readonly label: string;
  readonly total: number;
  readonly asJson: boolean;
  readonly countOf: (result: Result) => number;
  /** Prints the last result, also if the work fails. */
  readonly summarize: (result: Result) => void;
}

/** Runs `work` with a progress bar, and returns its result. */
export async function withProgress<Result>(
  { label, total, asJson, countOf, summarize }: Progressing<Result>,
  work: (onProgress: (result: Result) => void) => Promise<Result>,
): Promise<Result> {
  const progress = asJson || total === 0 ? undefined : progressBar(label);
  let last: Result | undefined;
  try {
    last = await work((result) => {
      last = result;
      progress?.update(countOf(result), total);
    });
    return last;
  } finally {
    progress?.end();
    if (last !== undefined) summarize(last);
  }
}

/** `KEY_DESTROYED 480, CONTENT_MISSING 20` */
export const countsOf = (codes: ReadonlyMap<string, number>): string =>
  [...codes]
    .sort(([, one], [, other]) => other - one)
    .map(([code, count]) => `${code} ${count}`)
    .join(', ');

/** Parts of a summary, without those whose count is 0. */
export const parts = (...facts: (readonly [number, string])[]): string[] =>
  facts.flatMap(([count, text]) => (count > 0 ? [text] : []));

/** Exit code of an interrupted command that has printed its summary; undefined if it was not interrupted. */
export const interruptedCode = ({ aborted, reason }: AbortSignal): number | undefined =>
  aborted && reason instanceof Interrupted ? exitCodeOf(reason) : undefined;
