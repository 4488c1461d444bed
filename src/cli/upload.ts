// `sealdex upload`: files into the queue, and with --wait until they are stored; at the end a table of what failed and why.
import { createReadStream } from 'node:fs';
import { Command } from 'commander';
import type { JobStatus, Producer } from '../app/app.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import { CODES, dispositionOf, SealdexError } from '../runtime/errors.ts';
import { reasonMessage, unreadable } from '../extract/reasons.ts';
import { checkName } from '../runtime/names.ts';
import { exitCodeOf, summarize } from './job-outcomes.ts';
import { Interrupted, textOf } from './failure.ts';
import type { FoundFile } from './files.ts';
import { untilInterrupted } from './interrupt.ts';
import { withProducer } from './with-clients.ts';
import { progressBar, printJson, megabytes, oneLine, printLine, printNotice, table } from './terminal.ts';
import { filesOf } from './upload-files.ts';
import { createWaiting, type Waiting } from './waiting.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly wait?: true;
  readonly json?: true;
}

interface Uploaded {
  readonly path: string;
  readonly jobId: string;
}

/** Each holds a few buffers; more at once would only share the same line. */
const AT_ONCE = 4;
/** With --wait: as many jobs may be under way before the next files are sent. */
const MOST_WAITING = 1000;
const REFUSED = CODES.DOCUMENT_INVALID.exit;

export function uploadCommand(): Command {
  return new Command('upload')
    .description('put files into the queue: their text is read and stored')
    .argument('<file...>', 'files, or folders with all files in them')
    .requiredOption('--tenant <name>', 'the tenant whose files they are')
    .requiredOption('--corpus <name>', 'the corpus to put them in; it need not exist')
    .option('--wait', 'until all are stored or parked; gives up after two idle minutes')
    .option('--json', 'NDJSON: a line for each file, for each end with --wait, and the counts')
    .addHelpText(
      'after',
      `
The path of a file as it is given is the id of its document: the same path again replaces it.
Which types are read: docs/uploads.md. sealdex extract FILE shows what is read of a file, without sending it.
Exit code: 0 all well, 65 some were refused or ended dead, 75 some are parked or did not finish.

Examples:
  sealdex upload --tenant acme --corpus files --wait report.pdf letters/
  sealdex dead list --tenant acme                                    # files that could not be read, and why`,
    )
    .action((paths: string[], options: Options) =>
      untilInterrupted(async (signal) => {
        checkName(options.tenant, 'tenant');
        checkName(options.corpus, 'corpus');
        const files = await filesOf(paths);
        await withProducer((producer) => run(producer, files, options, signal));
      }),
    );
}

async function run(
  producer: Producer,
  files: readonly FoundFile[],
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const asJson = options.json === true;
  const report = createReport(files, asJson);
  const waiting = options.wait
    ? createWaiting<Uploaded>({
        status: (jobId) => producer.status(jobId),
        clock: systemClock,
        signal,
        onEnd: (job, state, ended) => report.ended(job, state, ended),
        onProgress: (ended, total) => report.waited(ended, total),
        onStall: (error) =>
          printNotice(
            error
              ? `${textOf(error)} Waiting for it.`
              : 'Nothing has ended for 10 seconds: does a worker run? sealdex status tells.',
          ),
      })
    : undefined;
  let isAllSent = false;
  try {
    isAllSent = await sendAll(producer, files, options, report, waiting, signal);
    if (isAllSent) await waiting?.until(0);
  } catch (error) {
    // Who ends the wait with Ctrl-C has lost nothing: the jobs go on without anybody watching.
    if (!(error instanceof Interrupted && isAllSent)) throw error;
  } finally {
    report.end();
    const unsent = files.length - report.done();
    if (!isAllSent && unsent > 0) printNotice(`Stopped: ${unsent} of ${files.length} files were not sent.`);
    summarize(report.counts, waiting, { asJson, done: 'stored' });
  }
  process.exitCode = exitCodeOf(report.counts, waiting, isAllSent);
}

async function sendAll(
  producer: Producer,
  files: readonly FoundFile[],
  { tenant, corpus }: Options,
  report: Report,
  waiting: Waiting<Uploaded> | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  for (let from = 0; from < files.length; from += AT_ONCE) {
    signal.throwIfAborted();
    const some = files.slice(from, from + AT_ONCE);
    const sent = await Promise.allSettled(
      some.map((file) => sendAgain(() => send(producer, { tenant, corpus }, file, report, signal), signal)),
    );
    const outages: SealdexError[] = [];
    for (const [index, file] of some.entries()) {
      const result = sent[index];
      if (result?.status === 'fulfilled') {
        report.sent(file, result.value);
        waiting?.add([{ path: file.path, jobId: result.value.jobId }]);
      } else if (!signal.aborted) {
        const error = asFault(file, result?.reason);
        report.refused(file, error);
        if (dispositionOf(error.code).exit !== REFUSED) outages.push(error);
      }
    }
    signal.throwIfAborted();
    // Nothing of these was queued for a reason that lies in no file: the next ones would only meet the same.
    if (outages.length === some.length && outages[0]) throw outages[0];
    if ((await waiting?.until(MOST_WAITING)) === false) return false;
  }
  return true;
}

/** An outage of a moment, as under much load, is waited out; what was queued although nobody heard of it is replaced. */
const AGAIN_MS = [500, 2000];

async function sendAgain<T>(sendOnce: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const waitMs of AGAIN_MS) {
    try {
      return await sendOnce();
    } catch (error) {
      if (!(error instanceof SealdexError) || !isOutage(error)) throw error;
      await sleep(systemClock, waitMs, signal);
    }
  }
  return sendOnce();
}

const isOutage = ({ code }: SealdexError): boolean => {
  const { disposition, attempts = 0 } = dispositionOf(code);
  return disposition === 'retry' && attempts === 0;
};

type Queued = Awaited<ReturnType<Producer['enqueueUpload']>>;

async function send(
  producer: Producer,
  { tenant, corpus }: { readonly tenant: string; readonly corpus: string },
  { path, filename, bytes }: FoundFile,
  report: Report,
  signal: AbortSignal,
): Promise<Queued> {
  // The producer would speak of its field, which nobody gave here.
  if (bytes === 0) throw unreadable('empty');
  // A file that is cut off here is not queued, and nothing of it is left behind.
  const body = createReadStream(path, { signal });
  body.on('data', (chunk) => report.read(chunk.length));
  body.pause();
  try {
    return await producer.enqueueUpload({ tenant, corpus, filename, documentId: path, body, length: bytes });
  } catch (error) {
    // What the file system said; the producer hears only that there is no more.
    throw body.errored ?? error;
  } finally {
    body.destroy();
  }
}

/** What the file system says while a file is read is no fault of ours. */
function asFault({ path }: FoundFile, error: unknown): SealdexError {
  if (error instanceof SealdexError && error.field !== 'length') return error;
  if (error instanceof SealdexError)
    return new SealdexError('DOCUMENT_INVALID', `${path} was changed while it was read: send it again.`, {
      field: 'body',
    });
  const { code = 'unknown' } = error as NodeJS.ErrnoException;
  return new SealdexError('DOCUMENT_INVALID', `${path} cannot be read (${code}).`, { field: 'body' });
}

interface Report {
  readonly counts: { queued: number; refused: number; failed: number };
  /** Files of which something was said. */
  done(): number;
  read(bytes: number): void;
  sent(file: FoundFile, queued: Queued): void;
  refused(file: FoundFile, error: SealdexError): void;
  ended(job: Uploaded, state: string, ended: JobStatus): void;
  waited(ended: number, total: number): void;
  end(): void;
}

function createReport(files: readonly FoundFile[], asJson: boolean): Report {
  const counts = { queued: 0, refused: 0, failed: 0 };
  const failed: string[][] = [];
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let readBytes = 0;
  const done = (): number => counts.queued + counts.refused + counts.failed;
  const progress = asJson
    ? undefined
    : progressBar('uploaded', {
        countsOf: (bytes, total) => `${done()}/${files.length} files, ${megabytes(bytes)}/${megabytes(total)} MB`,
      });
  const stored = asJson ? undefined : progressBar('stored');
  return {
    counts,
    done,
    read(bytes) {
      readBytes += bytes;
      progress?.update(Math.min(readBytes, totalBytes), totalBytes);
    },
    sent({ path }, { status, jobId, revision }) {
      counts.queued += 1;
      if (asJson) printJson({ file: path, status, jobId, revision });
      else printLine(`${status}  ${jobId}  ${oneLine(path)}`);
      if (done() === files.length) progress?.end();
    },
    refused({ path }, error) {
      const status = CODES[error.code].exit === REFUSED ? 'refused' : 'failed';
      counts[status] += 1;
      failed.push([oneLine(path), status, textOf(error)]);
      if (asJson) printJson({ file: path, status, code: error.code, field: error.field, message: error.message });
    },
    ended({ path, jobId }, state, { code, reason }) {
      if (asJson) printJson({ file: path, jobId, state, code, reason });
      else if (code !== undefined && (state === 'dead' || state === 'parked'))
        failed.push([oneLine(path), state, `${reasonMessage(code, reason) ?? `${CODES[code].means}.`} (${code})`]);
    },
    waited: (ended, total) => stored?.update(ended, total),
    end() {
      progress?.end();
      stored?.end();
      if (!asJson && failed.length > 0)
        for (const line of table([['FILE', 'STATE', 'WHY'], ...failed])) printNotice(line);
    },
  };
}
