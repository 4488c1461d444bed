// `sealdex delete`: enqueues deletions of documents.
import { Command } from 'commander';
import type { Producer } from '../app/app.ts';
import { SealdexError } from '../runtime/errors.ts';
import {
  ENQUEUE_EXIT_CODES,
  inBatches,
  runEnqueue,
  type EnqueueFlow,
  type EnqueueOptions,
  type SendResult,
  withEnqueueOptions,
} from './enqueue-flow.ts';

const CONCURRENCY = 16;
const MAX_WAITING = 10_000;

export function deleteCommand(): Command {
  const command = new Command('delete')
    .description('enqueue document deletions')
    .argument('<id...>', 'document ids; missing documents are not an error');
  return withEnqueueOptions(command, 'documents', 'corpus of the documents')
    .addHelpText(
      'after',
      `
Prints one line per document: job id and document id.
A deletion overrides every earlier job for the document. It works while the
tenant's KMS key is disabled.
${ENQUEUE_EXIT_CODES}

Examples:
  sealdex delete --tenant acme --corpus docs my-document
  sealdex delete --tenant acme --corpus docs --wait first second third
  sealdex delete --tenant acme --corpus docs -- -an-id-that-begins-with-a-dash`,
    )
    .action((ids: string[], options: EnqueueOptions) =>
      runEnqueue(options, async (): Promise<EnqueueFlow<string>> => ({
        batches: inBatches(ids, CONCURRENCY),
        send: (producer, batch) => Promise.all(batch.map((id) => send(producer, options, id))),
        factsOf: (id) => ({ id }),
        nameOf: (id) => id,
        done: 'deleted',
        failures: 'lines',
        maxWaiting: MAX_WAITING,
      })),
    );
}

async function send(producer: Producer, { tenant, corpus }: EnqueueOptions, id: string): Promise<SendResult> {
  try {
    return await producer.enqueueDelete({ tenant, corpus, id });
  } catch (error) {
    if (error instanceof SealdexError) return error;
    throw error;
  }
}
