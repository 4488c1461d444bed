// `sealdex index`: documents from files into the queue, a line for each, and with --wait until they are stored.
import { Command } from 'commander';
import type { Producer } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { loadConfig } from '../runtime/config.ts';
import { checkName } from '../runtime/names.ts';
import { checkFiles, documentsIn } from './document-files.ts';
import { exitCodeOf, summarize, viewOf } from './job-outcomes.ts';
import { Interrupted } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { withProducer } from './with-clients.ts';
import { batchesOf, createSender, type Sender, type Sent } from './enqueue-batch.ts';
import { printNotice } from './terminal.ts';
import { createWaiting, type Waiting } from './waiting.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly wait?: true;
  readonly json?: true;
}

const DONE = 'stored';

/** With --wait: as many jobs may be under way before the next documents are read. */
const MOST_WAITING = 10_000;

export function indexCommand(): Command {
  return new Command('index')
    .description('put documents into the queue')
    .argument('<file...>', 'one JSON document, an array, or NDJSON; - for standard input')
    .requiredOption('--tenant <name>', 'the tenant whose documents they are')
    .requiredOption('--corpus <name>', 'the corpus to put them in; it need not exist')
    .option(
      '--wait',
      'until all are stored or parked, with a progress bar and a summary; gives up after two idle minutes',
    )
    .option('--json', 'NDJSON: a line for each job, for each end with --wait, and the counts')
    .addHelpText(
      'after',
      `
Prints a line for each document: its job id, and its file and line (of an array, its place in it).
A document that has a fault is reported there; the others go on.
With --wait, a job is not waited for that is parked, which may last: it goes on by itself.
Exit code: 0 all well, 65 some were refused or ended dead, 75 some are parked or did not finish.

Examples:
  sealdex index --tenant acme --corpus docs --wait docs.ndjson
  cat one.json | sealdex index --tenant acme --corpus docs -`,
    )
    .action((files: string[], options: Options) =>
      untilInterrupted(async (signal) => {
        checkName(options.tenant, 'tenant');
        checkName(options.corpus, 'corpus');
        await checkFiles(files);
        const { documentBytes } = loadConfig();
        await withProducer((producer) => run(producer, files, options, documentBytes, signal));
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
  const { tenant, corpus } = options;
  const asJson = options.json === true;
  const sender = createSender({ producer, tenant, corpus, asJson });
  const view = viewOf<Sent>({
    asJson,
    done: DONE,
    factsOf: ({ file, line }) => ({ file, line }),
    nameOf: ({ file, line }) => `${file}:${line}`,
  });
  const waiting = options.wait
    ? createWaiting<Sent>({ status: (jobId) => producer.status(jobId), clock: systemClock, signal, ...view })
    : undefined;
  const progress = { isAllSent: false };
  try {
    await sendAll(files, documentBytes, sender, waiting, progress, signal);
    if (progress.isAllSent) await waiting?.until(0);
  } catch (error) {
    // Who ends the wait with Ctrl-C has lost nothing: the jobs go on without anybody watching.
    if (!(error instanceof Interrupted && progress.isAllSent)) throw error;
  } finally {
    view.end();
    summarize(sender.counts, waiting, { asJson, done: DONE });
  }
  process.exitCode = exitCodeOf(sender.counts, waiting, progress.isAllSent);
}

async function sendAll(
  files: readonly string[],
  documentBytes: number,
  sender: Sender,
  waiting: Waiting<Sent> | undefined,
  progress: { isAllSent: boolean },
  signal: AbortSignal,
): Promise<void> {
  let last: string | undefined;
  try {
    for (const file of files) {
      for await (const batch of batchesOf(documentsIn(file, documentBytes, signal))) {
        signal.throwIfAborted();
        const sent = await sender.send(batch);
        last = `${file}:${batch.at(-1)?.line}`;
        waiting?.add(sent);
        if ((await waiting?.until(MOST_WAITING)) === false) return;
      }
    }
    progress.isAllSent = true;
  } finally {
    if (!progress.isAllSent && last !== undefined)
      printNotice(`Stopped after ${last}: what follows there was not queued.`);
  }
}
