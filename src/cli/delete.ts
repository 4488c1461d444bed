// `sealdex delete`: deletions into the queue.
import { Command } from 'commander';
import type { Producer } from '../app/app.ts';
import { SealdexError } from '../runtime/errors.ts';
import {
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
    .description('delete documents')
    .argument('<id...>', 'the document ids; a document need not exist');
  return withEnqueueOptions(command, 'documents', 'the corpus that they are in')
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
