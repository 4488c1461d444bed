// Jobs of the demo: enqueues documents with retries, as an indexing API does, and waits until jobs have finished.
import { SealdexError, type EnqueueResult, type JobState } from '../index.ts';
import { inBatches, waitUntil, withRetries } from './calls.ts';
import type { DemoRequest } from './documents.ts';
import type { Stage } from './stage.ts';

const ENQUEUE_BATCH = 16;
const STATUS_CONCURRENCY = 32;

/** Returns the ids of the jobs in order. @throws SealdexError if a request is rejected */
export async function enqueueAll(
  { producer, screen, signal }: Pick<Stage, 'producer' | 'screen' | 'signal'>,
  requests: readonly DemoRequest[],
  label?: string,
): Promise<string[]> {
  const jobIds: string[] = [];
  for (let from = 0; from < requests.length; from += ENQUEUE_BATCH) {
    const batch = requests.slice(from, from + ENQUEUE_BATCH);
    const send = async (): Promise<EnqueueResult[]> => {
      const results = await producer.enqueueIndexBulk(
        batch.map(({ tenant, corpus, document, idempotencyKey }) => ({ tenant, corpus, document, idempotencyKey })),
      );
      return results.map((result) => {
        if (result instanceof SealdexError) throw result;
        return result;
      });
    };
    jobIds.push(...(await withRetries(send, signal)).map(({ jobId }) => jobId));
    if (label !== undefined) screen.progress(label, jobIds.length, requests.length);
  }
  return jobIds;
}

/** Waits until the queue is empty. Returns the states of the jobs in order. */
export async function finishedStates(
  { operator, producer, screen, signal }: Pick<Stage, 'operator' | 'producer' | 'screen' | 'signal'>,
  queue: 'index' | 'upload',
  jobIds: readonly string[],
  label?: string,
): Promise<JobState[]> {
  await waitUntil(async () => {
    const { waiting, active, delayed } = (await operator.status())[queue];
    const left = waiting + active + delayed;
    if (label !== undefined) screen.progress(label, Math.max(0, jobIds.length - left), jobIds.length);
    return left === 0;
  }, signal);
  const stateOf = async (id: string): Promise<JobState> => (await producer.status(id)).state;
  return inBatches(jobIds, STATUS_CONCURRENCY, signal, (id) => withRetries(() => stateOf(id), signal));
}
