// `sealdex index`: enqueues documents from files.
import { Command } from 'commander';
import type { Producer } from '../app/app.ts';
import { loadConfig } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { ParsedDocument } from './document-files.ts';
import {
  ENQUEUE_EXIT_CODES,
  runEnqueue,
  type EnqueueFlow,
  type EnqueueOptions,
  type SendResult,
  TARGET_CORPUS,
  withEnqueueOptions,
} from './enqueue-flow.ts';
import { host } from './host.ts';

const BATCH = 64;
const BATCH_CHARS = 8_000_000;
const MAX_WAITING = 10_000;

export function indexCommand(): Command {
  const command = new Command('index')
    .description('enqueue documents')
    .argument('<file...>', 'file with one JSON document, an array or NDJSON; - for standard input');
  return withEnqueueOptions(command, 'documents', TARGET_CORPUS)
    .addHelpText(
      'after',
      `
Prints one line per document: job id, file and line number (for an array, the
index). Invalid documents are reported and skipped.
--wait does not wait for parked jobs. They resume automatically when the
tenant's KMS key works again.
${ENQUEUE_EXIT_CODES}

Examples:
  sealdex index --tenant acme --corpus docs --wait docs.ndjson
  cat one.json | sealdex index --tenant acme --corpus docs -`,
    )
    .action((files: string[], options: EnqueueOptions) =>
      runEnqueue(options, async (signal): Promise<EnqueueFlow<ParsedDocument>> => {
        const { checkFiles } = await import('./document-files.ts');
        await checkFiles(files);
        const { documentBytes } = loadConfig({}, host().env);
        return {
          batches: batchesOf(files, documentBytes, signal),
          documentOf: ({ document }) => (document as { readonly id?: unknown } | undefined)?.id,
          send: (producer, batch) => send(producer, options, batch),
          factsOf: ({ file, line }) => ({ file, line }),
          nameOf: ({ file, line }) => `${file}:${line}`,
          done: 'stored',
          failures: 'lines',
          maxWaiting: MAX_WAITING,
        };
      }),
    );
}

/** Batches share round trips; limited by number and size of documents. */
async function* batchesOf(
  files: readonly string[],
  documentBytes: number,
  signal: AbortSignal,
): AsyncGenerator<ParsedDocument[]> {
  const { documentsIn } = await import('./document-files.ts');
  for (const file of files) {
    let batch: ParsedDocument[] = [];
    let chars = 0;
    for await (const document of documentsIn(file, documentBytes, signal)) {
      batch.push(document);
      chars += document.chars;
      if (batch.length < BATCH && chars < BATCH_CHARS) continue;
      yield batch;
      batch = [];
      chars = 0;
    }
    if (batch.length > 0) yield batch;
  }
}

const invalid = ({ fault, field = 'document' }: ParsedDocument): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${fault}.`, { field });

async function send(
  producer: Producer,
  { tenant, corpus }: EnqueueOptions,
  batch: readonly ParsedDocument[],
): Promise<SendResult[]> {
  const valid = batch.filter(({ fault }) => fault === undefined);
  const results = await producer.enqueueIndexBulk(valid.map(({ document }) => ({ tenant, corpus, document })));
  const byDocument = new Map(valid.map((parsed, index) => [parsed, results[index]]));
  return batch.map((parsed) => byDocument.get(parsed) ?? invalid(parsed));
}
