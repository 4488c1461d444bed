// Jobs of the demo: batches, outages and states.
import { expect, test } from 'vitest';
import { requestOf } from '../../src/demo/documents.ts';
import { enqueueAll, finishedStates } from '../../src/demo/jobs.ts';
import { medianOf } from '../../src/demo/outage.ts';
import type { DemoScreen } from '../../src/demo/stage.ts';
import { SealdexError, type EnqueueResult, type JobState, type Operator, type Producer } from '../../src/index.ts';

const { signal } = new AbortController();

const requests = (count: number) =>
  Array.from({ length: count }, (_, at) => requestOf('acme', 'docs', { path: `${at}.txt`, text: 'text' }, `mark${at}`));

/** Records progress. */
function screenOf(): { screen: DemoScreen; progress: number[] } {
  const progress: number[] = [];
  return { screen: { say: () => {}, progress: (_label, done) => void progress.push(done) }, progress };
}

/** Accepts requests; as long as there are errors, one replaces the first result. */
function producerOf(...errors: SealdexError[]): { producer: Producer; keys: string[][] } {
  const keys: string[][] = [];
  const enqueueIndexBulk: Producer['enqueueIndexBulk'] = async (batch) => {
    keys.push(batch.map(({ idempotencyKey = '' }) => idempotencyKey));
    const results = batch.map((each): EnqueueResult => ({
      status: 'queued',
      jobId: `job of ${each.idempotencyKey}`,
      revision: 1,
    }));
    const error = errors.shift();
    return error ? [error, ...results.slice(1)] : results;
  };
  return { producer: { enqueueIndexBulk } as Producer, keys };
}

test('documents are enqueued in batches, and a batch is repeated with the same keys after an outage', async () => {
  const { producer, keys } = producerOf(new SealdexError('STORE_FAILED'));
  const { screen, progress } = screenOf();
  const jobIds = await enqueueAll({ producer, screen, signal }, requests(20), 'Enqueueing');
  expect(jobIds).toEqual(Array.from({ length: 20 }, (_, at) => `job of mark${at}`));
  expect(keys.map(({ length }) => length)).toEqual([16, 16, 4]);
  expect(keys[1]).toEqual(keys[0]);
  expect(progress).toEqual([16, 20]);
});

test('a rejected document is an error', async () => {
  const { producer } = producerOf(new SealdexError('TENANT_UNKNOWN'));
  await expect(enqueueAll({ producer, ...screenOf(), signal }, requests(1))).rejects.toThrow(
    new SealdexError('TENANT_UNKNOWN'),
  );
});

test('states of jobs are read once their queue is empty', async () => {
  const left = [3, 1, 0];
  const operator = {
    status: async () => ({ index: { waiting: left.shift(), active: 0, delayed: 0 } }),
  } as unknown as Operator;
  const producer = {
    status: async (id: string) => ({ state: (id === 'b' ? 'dead' : 'done') satisfies JobState }),
  } as unknown as Producer;
  const { screen, progress } = screenOf();
  const states = await finishedStates({ operator, producer, screen, signal }, 'index', ['a', 'b'], 'Indexing');
  expect(states).toEqual(['done', 'dead']);
  expect(progress).toEqual([0, 1, 2]);
});

test('a median is the middle value, or between the two in the middle', () => {
  expect([[], [3], [9, 1, 5], [4, 1, 3, 2]].map(medianOf)).toEqual([0, 3, 5, 2.5]);
});
