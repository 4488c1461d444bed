// Sends documents and waits until each job has ended, as an indexing API would do it.
// Knows nothing of where the documents are from.
import type { createOperator, createProducer, JobState } from '../app/app.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import type { QueueName } from '../runtime/names.ts';
import type { Page } from './documents.ts';

export type Producer = Awaited<ReturnType<typeof createProducer>>;
export type Operator = Awaited<ReturnType<typeof createOperator>>;

export interface Sending {
  readonly tenant: string;
  readonly corpus: string;
  readonly document: Page;
}

export type Progress = (done: number, total: number) => void;

const SENT_AT_ONCE = 16;
const ASKED_AT_ONCE = 32;
const LOOK_EVERY_MS = 50;

/** Of services that did not answer in time, as on a machine that is busy; of Redis it would not be known whether the job is queued. */
const MISSED: ReadonlySet<Code> = new Set<Code>(['KMS_FAILED', 'STORE_FAILED']);

/** What a service has missed is sent once more, as an indexing API does. */
async function enqueueBatch(
  producer: Producer,
  sendings: readonly Sending[],
): Promise<Awaited<ReturnType<Producer['enqueueIndexBulk']>>> {
  const results = [...(await producer.enqueueIndexBulk(sendings))];
  const missed = [...results.keys()].filter((at) => {
    const result = results[at];
    return result instanceof SealdexError && MISSED.has(result.code);
  });
  if (missed.length === 0) return results;
  const again = await producer.enqueueIndexBulk(missed.map((at) => sendings[at]!));
  for (const [index, at] of missed.entries()) results[at] = again[index]!;
  return results;
}

/** The ids of the jobs, in order; undefined where the producer refused one. */
export async function enqueueAll(
  producer: Producer,
  sendings: readonly Sending[],
  progress: Progress,
  signal: AbortSignal,
): Promise<(string | undefined)[]> {
  const ids: (string | undefined)[] = [];
  for (let from = 0; from < sendings.length; from += SENT_AT_ONCE) {
    signal.throwIfAborted();
    const results = await enqueueBatch(producer, sendings.slice(from, from + SENT_AT_ONCE));
    ids.push(...results.map((result) => (result instanceof SealdexError ? undefined : result.jobId)));
    progress(ids.length, sendings.length);
  }
  return ids;
}

export interface Ends {
  readonly producer: Producer;
  readonly operator: Operator;
  readonly jobIds: readonly string[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** When waiting ends, whatever is left. */
  readonly deadlineMs: number;
  /** Where the jobs are: `index`, if not given. */
  readonly queue?: QueueName;
}

/** Waits until no job is on its way any more. Answers how many did not end as stored. */
export async function failedOf(ends: Ends): Promise<number> {
  return (await statesOf(ends)).filter((state) => state !== 'done').length;
}

/** Waits until no job is on its way any more. Answers what became of each, in their order. */
export async function statesOf(ends: Ends): Promise<JobState[]> {
  const { producer, operator, jobIds, progress, signal, deadlineMs, queue = 'index' } = ends;
  const until = systemClock.monotonic() + deadlineMs;
  for (;;) {
    const { waiting, active, delayed } = (await operator.status())[queue];
    const left = waiting + active + delayed;
    progress(Math.max(0, jobIds.length - left), jobIds.length);
    if (left === 0 || systemClock.monotonic() >= until) break;
    await sleep(systemClock, LOOK_EVERY_MS, signal);
  }
  const states: JobState[] = [];
  for (let from = 0; from < jobIds.length; from += ASKED_AT_ONCE) {
    signal.throwIfAborted();
    const some = await Promise.all(jobIds.slice(from, from + ASKED_AT_ONCE).map((id) => producer.status(id)));
    states.push(...some.map(({ state }) => state));
  }
  return states;
}

/** Uses what was opened and closes it whatever happens. */
export async function using<T extends AsyncDisposable, R>(opened: T, use: (opened: T) => Promise<R>): Promise<R> {
  try {
    return await use(opened);
  } finally {
    await opened[Symbol.asyncDispose]();
  }
}
