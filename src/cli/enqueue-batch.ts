// Documents into the queue, some at a time, and a line for each that tells what became of it.
// Where they come from and how the jobs end is not known here.
import type { Producer } from '../app/app.ts';
import { CODES, SealdexError } from '../runtime/errors.ts';
import type { ParsedDocument } from './document-files.ts';
import { textOf } from './failure.ts';
import { printJson, printLine, printNotice } from './terminal.ts';

export interface Sent {
  readonly file: string;
  readonly line: number;
  readonly jobId: string;
}

export interface EnqueueCounts {
  readonly queued: number;
  readonly refused: number;
  readonly failed: number;
}

export interface SendingDeps {
  readonly producer: Pick<Producer, 'enqueueIndexBulk'>;
  readonly tenant: string;
  readonly corpus: string;
  readonly asJson: boolean;
}

export interface Sender {
  readonly counts: EnqueueCounts;
  /**
   * Answers the jobs that are queued now; what was refused is reported, and the others go on.
   * @throws SealdexError when nothing of it was queued for a reason that lies in no document: the next ones would only
   * meet the same
   */
  send(batch: readonly ParsedDocument[]): Promise<Sent[]>;
}

const BATCH = 64;
const BATCH_CHARS = 8_000_000;
const REFUSED = CODES.DOCUMENT_INVALID.exit;

/** Several documents at a time share round trips; bounded by their number and size. */
export async function* batchesOf(items: AsyncIterable<ParsedDocument>): AsyncGenerator<ParsedDocument[]> {
  let batch: ParsedDocument[] = [];
  let chars = 0;
  for await (const item of items) {
    batch.push(item);
    chars += item.chars;
    if (batch.length < BATCH && chars < BATCH_CHARS) continue;
    yield batch;
    batch = [];
    chars = 0;
  }
  if (batch.length > 0) yield batch;
}

export function createSender({ producer, tenant, corpus, asJson }: SendingDeps): Sender {
  const counts = { queued: 0, refused: 0, failed: 0 };

  const accepted = ({ file, line }: ParsedDocument, { jobId, status, revision }: Queued): Sent => {
    counts.queued += 1;
    if (asJson) printJson({ file, line, status, jobId, revision });
    else printLine(`${status}  ${jobId}  ${file}:${line}`);
    return { file, line, jobId };
  };

  const rejected = ({ file, line }: ParsedDocument, error: SealdexError, isSilent: boolean): void => {
    const status = CODES[error.code].exit === REFUSED ? 'refused' : 'failed';
    counts[status] += 1;
    const { code, field, message } = error;
    if (asJson) printJson({ file, line, status, code, field, message });
    else if (!isSilent) printNotice(`${status}  ${file}:${line}  ${textOf(error)}`);
  };

  return {
    counts,
    async send(batch) {
      const good = batch.filter(({ fault }) => fault === undefined);
      const results = await producer.enqueueIndexBulk(good.map(({ document }) => ({ tenant, corpus, document })));
      const errors = results.filter((result) => result instanceof SealdexError);
      const outage = errors.length === results.length ? errors.find((error) => !isOfDocument(error)) : undefined;
      let next = 0;
      const sent: Sent[] = [];
      for (const item of batch) {
        const result = item.fault === undefined ? results[next++] : faultyOf(item.fault);
        if (result === undefined) continue;
        if (result instanceof SealdexError) rejected(item, result, outage !== undefined && !isOfDocument(result));
        else sent.push(accepted(item, result));
      }
      if (outage) throw outage;
      return sent;
    },
  };
}

type Queued = Exclude<Awaited<ReturnType<Producer['enqueueIndexBulk']>>[number], SealdexError>;

const isOfDocument = ({ code }: SealdexError): boolean => code === 'DOCUMENT_INVALID' || code === 'DOCUMENT_CONFLICT';

const faultyOf = (fault: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `document ${fault}.`, { field: 'document' });
