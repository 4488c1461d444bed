// Report of a command that enqueues: a line or JSON for each job and outcome, and the failures as lines or as a table.
import type { Producer } from '../app/app.ts';
import { CODES, type SealdexError } from '../runtime/errors.ts';
import { textOf } from './failure.ts';
import { explainOutcome, REFUSED, stallMessage, type EnqueueCounts } from './job-outcomes.ts';
import { tableLines, type Column } from './table.ts';
import { oneLine, printJson, printLine, printNotice, progressBar } from './terminal.ts';
import type { WaitingDeps } from './waiting.ts';

export type EnqueueResult = Awaited<ReturnType<Producer['enqueueIndex']>>;

export interface EnqueuedJob<Item> {
  readonly item: Item;
  readonly jobId: string;
}

/** How the items of a command are shown. */
export interface ItemView<Item> {
  /** Word for a successful job: `stored`. */
  readonly done: string;
  /** Identifies an item for machines. */
  readonly factsOf: (item: Item) => object;
  /** Identifies an item for people. */
  readonly nameOf: (item: Item) => string;
  /** `lines`: printed at once. `table`: printed at the end. */
  readonly failures: 'lines' | 'table';
  /** What the jobs wait for while none of them ends: sentences, and the command last. Empty if unknown. */
  readonly stallHints?: () => Promise<string[]>;
}

export interface EnqueueReport<Item> extends Pick<WaitingDeps<EnqueuedJob<Item>>, 'onEnd' | 'onProgress' | 'onStall'> {
  readonly counts: EnqueueCounts;
  onQueued(item: Item, result: EnqueueResult): void;
  /** `isOutage`: the command ends with this error, so it is not printed for each item for people. */
  onRejected(item: Item, error: SealdexError, isOutage: boolean): void;
  /** Keeps the last state of the progress bar, and prints the table. */
  end(): void;
}

interface FailureRow {
  readonly name: string;
  readonly status: string;
  readonly why: string;
}

const FAILURE_COLUMNS: Column<FailureRow>[] = [
  { title: 'FILE', text: ({ name }) => name },
  { title: 'STATE', text: ({ status }) => status },
  { title: 'REASON', text: ({ why }) => why, wraps: true },
];

export function createReport<Item>(view: ItemView<Item>, asJson: boolean): EnqueueReport<Item> {
  const { factsOf } = view;
  const nameOf = (item: Item): string => oneLine(view.nameOf(item));
  const counts = { queued: 0, refused: 0, failed: 0 };
  const rows: FailureRow[] = [];
  // Parked and dead jobs are finished too.
  const finished = asJson ? undefined : progressBar('finished');

  const reportFailure = (status: string, jobId: string | undefined, name: string, why: string): void => {
    if (view.failures === 'table') rows.push({ name, status, why });
    else printNotice([status, ...(jobId === undefined ? [] : [jobId]), name, why].join('  '));
  };

  return {
    counts,
    onQueued(item, { status, jobId, revision }) {
      counts.queued += 1;
      if (asJson) printJson({ ...factsOf(item), status, jobId, revision });
      else printLine(`${status}  ${jobId}  ${nameOf(item)}`);
    },
    onRejected(item, error, isOutage) {
      const { code, field, message } = error;
      const status = CODES[code].exit === REFUSED ? 'refused' : 'failed';
      counts[status] += 1;
      if (asJson) printJson({ ...factsOf(item), status, code, field, message });
      else if (!isOutage) reportFailure(status, undefined, nameOf(item), textOf(error));
    },
    onEnd({ item, jobId }, state, { code, reason }) {
      if (asJson) printJson({ ...factsOf(item), jobId, state, code, reason });
      else if ((state === 'dead' || state === 'parked') && code !== undefined)
        reportFailure(state, jobId, nameOf(item), explainOutcome(state, code, reason));
    },
    onProgress: (ended, total) => finished?.update(ended, total),
    async onStall(reason) {
      const isKnown = reason.error !== undefined || reason.code !== undefined;
      printNotice(stallMessage(reason, isKnown ? [] : await view.stallHints?.()));
    },
    end() {
      finished?.end();
      for (const line of tableLines(FAILURE_COLUMNS, rows, false)) printNotice(line);
    },
  };
}
