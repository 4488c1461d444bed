// Flow of every command that enqueues: sends batches, waits for outages and outcomes, reports, and sets the exit code.
import type { Command } from 'commander';
import type { Producer } from '../app/app.ts';
import { sleep, systemClock, type Clock } from '../runtime/clock.ts';
import { dispositionOf, SealdexError } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import {
  createReport,
  type EnqueuedJob,
  type EnqueueReport,
  type EnqueueResult,
  type ItemView,
} from './enqueue-report.ts';
import { Interrupted } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { exitCodeOf, summarize } from './job-outcomes.ts';
import { oneLine, printNotice } from './terminal.ts';
import { createWaiting, type Waiting } from './waiting.ts';
import { withProducer } from './with-clients.ts';
import { host } from './host.ts';

/** Options of every command that enqueues. */
export interface EnqueueOptions {
  readonly tenant: string;
  readonly corpus: string;
  readonly wait?: true;
  readonly json?: true;
}

/** Help on the corpus of commands that write documents. */
export const TARGET_CORPUS = 'target corpus; created on first use';

/** Help on the exit codes of every command that enqueues. */
export const ENQUEUE_EXIT_CODES = `
Exit codes:
  0   success
  65  at least one rejected or dead
  75  at least one parked, unfinished or not enqueued`;

/** Adds the options of every command that enqueues; `what` is `documents` or `files`. */
export const withEnqueueOptions = (command: Command, what: string, corpusHelp: string): Command =>
  command
    .requiredOption('--tenant <name>', `tenant that owns the ${what}`)
    .requiredOption('--corpus <name>', corpusHelp)
    .option('--wait', 'wait until every job is done, parked or dead; gives up after 2m without progress')
    .option('--json', 'print NDJSON: one line per job, one per finished job with --wait, and the totals');

/** Result of one item. An error concerns that item, or is an outage that affects all items. */
export type SendResult = EnqueueResult | SealdexError;

export interface EnqueueFlow<Item> extends ItemView<Item> {
  readonly batches: AsyncIterable<readonly Item[]> | Iterable<readonly Item[]>;
  /** The document that an item writes, if another item of its batch may write it too: the later one must win. */
  readonly documentOf?: (item: Item) => unknown;
  /** Sends a batch; the results are in the order of its items. Items that failed with an outage are sent again. */
  readonly send: (producer: Producer, batch: readonly Item[]) => Promise<readonly SendResult[]>;
  /** With --wait: maximum number of jobs in progress when the next batch is sent. */
  readonly maxWaiting: number;
  /** Number of items, if known. */
  readonly total?: number;
}

interface Run<Item> {
  readonly producer: Producer;
  readonly flow: EnqueueFlow<Item>;
  readonly report: EnqueueReport<Item>;
  readonly waiting: Waiting<EnqueuedJob<Item>> | undefined;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Last item of the last batch that was sent. */
  last?: Item | undefined;
  isAllSent: boolean;
}

/** Retries short outages, as under heavy load. A job that was queued although its response was lost is superseded. */
const RETRY_DELAYS_MS = [500, 2000];

/** Runs a command that enqueues. `prepare` checks arguments and files before any connection is opened. */
export function runEnqueue<Item>(
  options: EnqueueOptions,
  prepare: (signal: AbortSignal) => Promise<EnqueueFlow<Item>>,
): Promise<void> {
  return untilInterrupted(async (signal) => {
    checkName(options.tenant, 'tenant');
    checkName(options.corpus, 'corpus');
    const flow = await prepare(signal);
    await withProducer((producer) => enqueueAll(producer, flow, options, signal));
  });
}

/** @throws SealdexError if a whole batch failed with an outage; the signal's reason if not all items were sent */
export async function enqueueAll<Item>(
  producer: Producer,
  flow: EnqueueFlow<Item>,
  options: Pick<EnqueueOptions, 'wait' | 'json'>,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  const asJson = options.json === true;
  const report = createReport(flow, asJson);
  const waiting = options.wait
    ? createWaiting<EnqueuedJob<Item>>({
        status: (jobId) => producer.status(jobId),
        clock,
        signal,
        ...report,
      })
    : undefined;
  const run: Run<Item> = { producer, flow, report, waiting, signal, clock, isAllSent: false };
  try {
    await sendAll(run);
    if (run.isAllSent) await waiting?.until(0);
  } catch (error) {
    // Ctrl-C during the wait loses nothing: the jobs stay in the queue.
    if (!(error instanceof Interrupted && run.isAllSent)) throw error;
  } finally {
    report.end();
    if (!run.isAllSent) printUnsent(run);
    summarize(report.counts, waiting, { asJson, done: flow.done });
  }
  host().exitCode = exitCodeOf(report.counts, waiting, run.isAllSent);
}

/** Stops early if the jobs in progress make no progress. */
async function sendAll<Item>(run: Run<Item>): Promise<void> {
  const { flow, waiting, signal } = run;
  for await (const batch of flow.batches) {
    signal.throwIfAborted();
    const { jobs, error } = reportBatch(run, batch, await sendThroughOutages(run, batch));
    waiting?.add(jobs);
    if (error !== undefined) throw error;
    run.last = batch.at(-1);
    if ((await waiting?.until(flow.maxWaiting)) === false) return;
  }
  run.isAllSent = true;
}

const isOutage = (result: SendResult | undefined): boolean => {
  if (!(result instanceof SealdexError)) return false;
  const { disposition, attempts = 0 } = dispositionOf(result.code);
  return disposition === 'retry' && attempts === 0;
};

async function sendThroughOutages<Item>(
  { producer, flow, signal, clock }: Run<Item>,
  batch: readonly Item[],
): Promise<readonly SendResult[]> {
  let results = await flow.send(producer, batch);
  for (const delayMs of RETRY_DELAYS_MS) {
    const isUnsent = batch.map((_, index) => isOutage(results[index]) && !isOvertaken(flow, batch, results, index));
    const unsent = batch.filter((_, index) => isUnsent[index]);
    if (unsent.length === 0) break;
    await sleep(clock, delayMs, signal).catch(() => {});
    if (signal.aborted) break;
    const repeated = [...(await flow.send(producer, unsent))];
    results = results.map((result, index) => (isUnsent[index] ? (repeated.shift() ?? result) : result));
  }
  return results;
}

/** Whether a later item has written the same document: sent again, this item would get a higher revision and win. */
function isOvertaken<Item>(
  { documentOf }: EnqueueFlow<Item>,
  batch: readonly Item[],
  results: readonly SendResult[],
  index: number,
): boolean {
  const document = documentOf?.(batch[index]!);
  if (document === undefined) return false;
  return batch.some(
    (later, at) =>
      at > index && documentOf?.(later) === document && results[at] && !(results[at] instanceof SealdexError),
  );
}

const isOfItem = ({ code }: SealdexError): boolean => /^(?:DOCUMENT|FILE)_/.test(code);

/** Returns the queued jobs, and in `error` what ends the command: an outage of all items, or the signal's reason. */
function reportBatch<Item>(
  { report, signal }: Run<Item>,
  batch: readonly Item[],
  results: readonly SendResult[],
): { readonly jobs: readonly EnqueuedJob<Item>[]; readonly error?: unknown } {
  const errors = results.filter((result) => result instanceof SealdexError);
  // The next batch would fail too.
  const outage = errors.length === results.length ? errors.find((error) => !isOfItem(error)) : undefined;
  const jobs: EnqueuedJob<Item>[] = [];
  for (const [index, item] of batch.entries()) {
    const result = results[index];
    if (result === undefined) continue;
    if (!(result instanceof SealdexError)) {
      report.onQueued(item, result);
      jobs.push({ item, jobId: result.jobId });
    } else if (!signal.aborted) report.onRejected(item, result, outage !== undefined && !isOfItem(result));
  }
  const error: unknown = errors.length > 0 && signal.aborted ? signal.reason : outage;
  return { jobs, error };
}

function printUnsent<Item>({ flow, report: { counts }, last }: Run<Item>): void {
  const { queued, refused, failed } = counts;
  const unsent = (flow.total ?? 0) - queued - refused - failed;
  if (unsent > 0) printNotice(`Stopped. ${unsent} of ${flow.total} files were not uploaded.`);
  if (flow.total === undefined && last !== undefined)
    printNotice(`Stopped after ${oneLine(flow.nameOf(last))}. Later documents were not enqueued.`);
}

/** The items in batches of `size`. */
export function* inBatches<Item>(items: readonly Item[], size: number): Generator<Item[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size);
}
