// `sealdex delete`: deletions into the queue, a line for each, and with --wait until they are done.
import { Command } from 'commander';
import type { Producer } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { CODES, SealdexError } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { exitCodeOf, summarize, viewOf } from './job-outcomes.ts';
import { Interrupted, textOf } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { withProducer } from './with-clients.ts';
import { printJson, oneLine, printLine, printNotice } from './terminal.ts';
import { createWaiting } from './waiting.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly wait?: true;
  readonly json?: true;
}

interface Deletion {
  readonly id: string;
  readonly jobId: string;
}

const DONE = 'deleted';
const AT_ONCE = 16;

export function deleteCommand(): Command {
  return new Command('delete')
    .description('delete documents')
    .argument('<id...>', 'the document ids; a document need not exist')
    .requiredOption('--tenant <name>', 'the tenant whose documents they are')
    .requiredOption('--corpus <name>', 'the corpus that they are in')
    .option(
      '--wait',
      'until all are deleted, with a progress bar and a summary; gives up when none ends for two minutes',
    )
    .option('--json', 'NDJSON: a line for each job, for each end with --wait, and the counts')
    .addHelpText(
      'after',
      `
Prints a line for each document: its job id, and its id. A deletion wins over everything that was
enqueued for the document before it, and works while the tenant's KMS key is disabled.
Exit code: 0 all well, 65 some were refused or ended dead, 75 some are parked or did not finish.

Examples:
  sealdex delete --tenant acme --corpus docs my-document
  sealdex delete --tenant acme --corpus docs --wait first second third
  sealdex delete --tenant acme --corpus docs -- -an-id-that-begins-with-a-dash`,
    )
    .action((ids: string[], options: Options) =>
      untilInterrupted(async (signal) => {
        checkName(options.tenant, 'tenant');
        checkName(options.corpus, 'corpus');
        await withProducer((producer) => run(producer, ids, options, signal));
      }),
    );
}

async function run(producer: Producer, ids: readonly string[], options: Options, signal: AbortSignal): Promise<void> {
  const asJson = options.json === true;
  const sender = createDeleter(producer, options, asJson);
  const view = viewOf<Deletion>({ asJson, done: DONE, factsOf: ({ id }) => ({ id }), nameOf: ({ id }) => oneLine(id) });
  const waiting = options.wait
    ? createWaiting<Deletion>({ status: (jobId) => producer.status(jobId), clock: systemClock, signal, ...view })
    : undefined;
  let sent = 0;
  try {
    for (; sent < ids.length; sent += AT_ONCE) {
      signal.throwIfAborted();
      const queued = await sender.send(ids.slice(sent, sent + AT_ONCE));
      waiting?.add(queued);
    }
    await waiting?.until(0);
  } catch (error) {
    // Who ends the wait with Ctrl-C has lost nothing: the jobs go on without anybody watching.
    if (!(error instanceof Interrupted && sent >= ids.length)) throw error;
  } finally {
    view.end();
    if (sent > 0 && sent < ids.length)
      printNotice(`Stopped after ${oneLine(ids[sent - 1]!)}: what follows it was not queued.`);
    summarize(sender.counts, waiting, { asJson, done: DONE });
  }
  process.exitCode = exitCodeOf(sender.counts, waiting, sent >= ids.length);
}

function createDeleter(producer: Producer, { tenant, corpus }: Options, asJson: boolean) {
  const counts = { queued: 0, refused: 0, failed: 0 };

  const tell = (id: string, result: EnqueueResult | SealdexError, isOutage: boolean): Deletion[] => {
    if (!(result instanceof SealdexError)) {
      const { status, jobId, revision } = result;
      counts.queued += 1;
      if (asJson) printJson({ id, status, jobId, revision });
      else printLine(`${status}  ${jobId}  ${oneLine(id)}`);
      return [{ id, jobId }];
    }
    const { code, field, message } = result;
    const status = CODES[code].exit === CODES.DOCUMENT_INVALID.exit ? 'refused' : 'failed';
    counts[status] += 1;
    if (asJson) printJson({ id, status, code, field, message });
    else if (!isOutage || isOfRequest(result)) printNotice(`${status}  ${oneLine(id)}  ${textOf(result)}`);
    return [];
  };

  return {
    counts,
    /**
     * Answers the deletions that are queued now; a faulty id is reported, and the others go on.
     * @throws SealdexError when none was queued, for a reason that lies in no id: the next ones would only meet the same
     */
    async send(ids: readonly string[]): Promise<Deletion[]> {
      const results = await Promise.all(ids.map((id) => producer.enqueueDelete({ tenant, corpus, id }).catch(asKnown)));
      const errors = results.filter((result) => result instanceof SealdexError);
      const outage = errors.length === results.length ? errors.find((error) => !isOfRequest(error)) : undefined;
      const queued = results.flatMap((result, at) => tell(ids[at]!, result, outage !== undefined));
      if (outage) throw outage;
      return queued;
    },
  };
}

type EnqueueResult = Awaited<ReturnType<Producer['enqueueDelete']>>;

function asKnown(error: unknown): SealdexError {
  if (error instanceof SealdexError) return error;
  throw error;
}

const isOfRequest = ({ code }: SealdexError): boolean => code === 'DOCUMENT_INVALID';
