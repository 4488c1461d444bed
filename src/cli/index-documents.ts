// `sealdex index`: documents from files into the queue, a line for each, and with --wait until they are stored.
import { Command } from 'commander';
import type { Producer } from '../app.ts';
import { systemClock, sleep } from '../clock.ts';
import { loadConfig } from '../config.ts';
import { CODES, SealdexError, type Code } from '../errors.ts';
import { documentsIn, type Found } from './documents-in.ts';
import { untilInterrupted } from './interrupt.ts';
import { bar, json, out, say } from './terminal.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly wait?: true;
  readonly json?: true;
}

const REFUSED = 65;
const UNFINISHED = 75;

const BATCH = 64;
const BATCH_CHARS = 8_000_000;
const POLL_MS = 200;
const POLLED_AT_ONCE = 200;

/** Nothing has finished for this long: somebody has to look, since jobs alone may wait for days. */
const IDLE_MS = 120_000;

interface Sent {
  readonly file: string;
  readonly line: number;
  readonly jobId: string;
}

interface Tally {
  queued: number;
  refused: number;
  failed: number;
  done: number;
  superseded: number;
  dead: number;
}

export function indexCommand(): Command {
  return new Command('index')
    .description('put documents into the queue')
    .argument('<file...>', 'one JSON document, an array, or NDJSON; - for standard input')
    .requiredOption('--tenant <name>', 'the tenant whose documents they are')
    .requiredOption('--corpus <name>', 'the corpus to put them in')
    .option('--wait', 'until all are stored, with a progress bar and a summary')
    .option('--json', 'NDJSON: a line for each job, and for each end with --wait')
    .addHelpText(
      'after',
      `
A document that has a fault is reported with its line; the others go on.
Exit code: 0 all well, 65 some were refused or ended dead, 75 some did not finish.

Examples:
  sealdex index --tenant acme --corpus docs --wait docs.ndjson
  cat one.json | sealdex index --tenant acme --corpus docs -`,
    )
    .action((files: string[], options: Options) =>
      untilInterrupted(async (signal) => {
        const { documentBytes } = loadConfig();
        const { createProducer } = await import('../app.ts');
        const producer = await createProducer();
        try {
          await run(producer, files, options, documentBytes, signal);
        } finally {
          await producer[Symbol.asyncDispose]();
        }
      }),
    );
}

async function run(
  producer: Producer,
  files: readonly string[],
  options: Options,
  documentBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const tally: Tally = { queued: 0, refused: 0, failed: 0, done: 0, superseded: 0, dead: 0 };
  const sent: Sent[] = [];
  for (const file of files) {
    for await (const batch of batchesOf(documentsIn(file, documentBytes))) {
      signal.throwIfAborted();
      sent.push(...(await send(producer, batch, options, tally)));
    }
  }
  const unfinished = options.wait ? await waitFor(producer, sent, options, tally, signal) : 0;
  if (options.json) json({ ...tally, unfinished });
  else say(summaryOf(tally, unfinished, options.wait));
  process.exitCode = tally.refused + tally.dead > 0 ? REFUSED : tally.failed + unfinished > 0 ? UNFINISHED : 0;
}

/** Several documents at a time share round trips; bounded by their number and size. */
async function* batchesOf(items: AsyncIterable<Found>): AsyncGenerator<Found[]> {
  let batch: Found[] = [];
  let chars = 0;
  for await (const item of items) {
    batch.push(item);
    chars += item.document === undefined ? 0 : JSON.stringify(item.document).length;
    if (batch.length < BATCH && chars < BATCH_CHARS) continue;
    yield batch;
    batch = [];
    chars = 0;
  }
  if (batch.length > 0) yield batch;
}

async function send(
  producer: Producer,
  batch: readonly Found[],
  { tenant, corpus, json: asJson }: Options,
  tally: Tally,
): Promise<Sent[]> {
  const good = batch.filter((item) => item.fault === undefined);
  const results = await producer.enqueueIndexBulk(good.map(({ document }) => ({ tenant, corpus, document })));
  const byItem = new Map(good.map((item, index) => [item, results[index]]));
  const sent: Sent[] = [];
  let failed: SealdexError | undefined;
  for (const item of batch) {
    const { file, line } = item;
    const result =
      byItem.get(item) ?? new SealdexError('DOCUMENT_INVALID', `document: ${item.fault}.`, { field: 'document' });
    if (result instanceof SealdexError) {
      const isRefused = CODES[result.code].exit === REFUSED;
      if (isRefused) tally.refused += 1;
      else tally.failed += 1;
      failed = isRefused ? failed : result;
      report(
        {
          file,
          line,
          status: isRefused ? 'refused' : 'failed',
          code: result.code,
          field: result.field,
          message: result.message,
        },
        asJson,
      );
    } else {
      tally.queued += 1;
      sent.push({ file, line, jobId: result.jobId });
      if (asJson) json({ file, line, ...result });
      else out(`${result.status}  ${result.jobId}  ${file}:${line}`);
    }
  }
  // When nothing of a batch went through for want of Redis, S3 or KMS, the next ones would only wait for the same.
  if (failed && sent.length === 0) throw failed;
  return sent;
}

function report(
  fault: { file: string; line: number; status: string; code: Code; field: string | undefined; message: string },
  asJson: true | undefined,
): void {
  if (asJson) json(fault);
  else say(`${fault.status}  ${fault.file}:${fault.line}  ${fault.message} (${fault.code})`);
}

/** Asks until every job has ended. Answers how many have not when nothing moved for two minutes. */
async function waitFor(
  producer: Producer,
  sent: readonly Sent[],
  { json: asJson }: Options,
  tally: Tally,
  signal: AbortSignal,
): Promise<number> {
  const progress = bar('stored');
  let waiting = [...sent];
  let movedAt = systemClock.monotonic();
  while (waiting.length > 0 && systemClock.monotonic() - movedAt < IDLE_MS) {
    const asked = waiting.slice(0, POLLED_AT_ONCE);
    const states = await Promise.all(asked.map(({ jobId }) => producer.status(jobId)));
    const ended = new Set<Sent>();
    for (const [index, job] of asked.entries()) {
      const { state, code } = states[index] ?? { state: 'unknown' as const };
      if (state !== 'done' && state !== 'superseded' && state !== 'dead') continue;
      ended.add(job);
      tally[state] += 1;
      if (asJson) json({ file: job.file, line: job.line, jobId: job.jobId, state, code });
      else if (state === 'dead' && code !== undefined)
        say(`dead  ${job.jobId}  ${job.file}:${job.line}  ${CODES[code].means}; ${CODES[code].todo} (${code})`);
    }
    if (ended.size > 0) movedAt = systemClock.monotonic();
    // Those that did not move go to the end, so that a few stuck jobs do not hide the rest.
    waiting = [...waiting.slice(POLLED_AT_ONCE), ...asked.filter((job) => !ended.has(job))];
    if (!asJson) progress.update(sent.length - waiting.length, sent.length);
    if (waiting.length > 0 && ended.size === 0) await sleep(systemClock, POLL_MS, signal);
    signal.throwIfAborted();
  }
  if (!asJson) progress.end();
  return waiting.length;
}

function summaryOf(
  { queued, refused, failed, done, superseded, dead }: Tally,
  unfinished: number,
  wait: true | undefined,
): string {
  const counts: [number, string][] = wait
    ? [
        [done, 'stored'],
        [superseded, 'superseded by a newer revision'],
        [dead, 'dead'],
        [unfinished, 'not finished: sealdex status'],
        [refused, 'refused'],
        [failed, 'failed'],
      ]
    : [
        [queued, 'queued'],
        [refused, 'refused'],
        [failed, 'failed'],
      ];
  return counts
    .filter(([count], index) => count > 0 || index === 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(', ');
}
