// `sealdex index`: documents from files into the queue, a line for each, and with --wait until they are stored.
import { Command } from 'commander';
import type { Producer } from '../app.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config.ts';
import { CODES } from '../errors.ts';
import { checkName } from '../names.ts';
import { checkFiles, documentsIn } from './documents-in.ts';
import { Interrupted, textOf } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { withProducer } from './opened.ts';
import { batchesOf, createSender, type Sender } from './sending.ts';
import { bar, json, say } from './terminal.ts';
import { createWaiting, type Endings, type Waiting } from './waiting.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly wait?: true;
  readonly json?: true;
}

const REFUSED = 65;
const UNFINISHED = 75;

/** With --wait: as many jobs may be under way before the next documents are read. */
const MOST_WAITING = 10_000;

const NO_ENDINGS: Endings = { done: 0, superseded: 0, dead: 0 };

export function indexCommand(): Command {
  return new Command('index')
    .description('put documents into the queue')
    .argument('<file...>', 'one JSON document, an array, or NDJSON; - for standard input')
    .requiredOption('--tenant <name>', 'the tenant whose documents they are')
    .requiredOption('--corpus <name>', 'the corpus to put them in; it need not exist')
    .option(
      '--wait',
      'until all are stored, with a progress bar and a summary; gives up when none ends for two minutes',
    )
    .option('--json', 'NDJSON: a line for each job, for each end with --wait, and the counts')
    .addHelpText(
      'after',
      `
Prints a line for each document: its job id, and its file and line (of an array, its place in it).
A document that has a fault is reported there; the others go on.
Exit code: 0 all well, 65 some were refused or ended dead, 75 some did not finish.

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
  const sender = createSender({ producer, tenant, corpus, asJson: options.json === true });
  const view = viewOf(options);
  const waiting = options.wait
    ? createWaiting({ status: (jobId) => producer.status(jobId), clock: systemClock, signal, ...view })
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
    summarize(sender, waiting, options);
  }
  const { refused, failed } = sender.counts;
  const { dead } = waiting?.endings ?? NO_ENDINGS;
  const unfinished = failed + (waiting?.left ?? 0);
  process.exitCode = refused + dead > 0 ? REFUSED : unfinished > 0 || !progress.isAllSent ? UNFINISHED : 0;
}

async function sendAll(
  files: readonly string[],
  documentBytes: number,
  sender: Sender,
  waiting: Waiting | undefined,
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
    if (!progress.isAllSent && last !== undefined) say(`Stopped after ${last}: what follows there was not queued.`);
  }
}

/** How a wait looks: lines and a bar for people, lines alone for machines. */
function viewOf({ json: asJson }: Options) {
  const progress = asJson ? undefined : bar('stored');
  return {
    onEnd: ((job, state, code) => {
      const { file, line, jobId } = job;
      if (asJson) json({ file, line, jobId, state, code });
      else if (state === 'dead' && code !== undefined)
        say(`dead  ${jobId}  ${file}:${line}  ${CODES[code].means}; ${CODES[code].todo} (${code})`);
    }) satisfies Parameters<typeof createWaiting>[0]['onEnd'],
    onProgress: (ended: number, total: number) => progress?.update(ended, total),
    onStill: ((error) =>
      say(
        error
          ? `${textOf(error)} Waiting for it.`
          : 'Nothing has ended for 10 seconds: does a worker run? sealdex status tells.',
      )) satisfies Parameters<typeof createWaiting>[0]['onStill'],
    end: () => progress?.end(),
  };
}

function summarize({ counts }: Sender, waiting: Waiting | undefined, { json: asJson }: Options): void {
  const { queued, refused, failed } = counts;
  const endings = waiting?.endings ?? NO_ENDINGS;
  const unfinished = waiting?.left ?? 0;
  if (asJson) return json({ ...counts, ...endings, unfinished });
  const ends: [number, string][] = [
    [endings.done, 'stored'],
    [endings.superseded, 'superseded by a newer revision'],
    [endings.dead, 'dead'],
    [unfinished, 'not finished (they stay in the queue; sealdex status shows it)'],
  ];
  const facts: [number, string][] = [
    ...(waiting ? ends : [[queued, 'queued'] as [number, string]]),
    [refused, 'refused'],
    [failed, 'failed'],
  ];
  const told = facts.filter(([count], index) => count > 0 || index === 0);
  say(`${told.map(([count, what]) => `${count} ${what}`).join(', ')}.`);
}
