// The dead letter of the demo, on a queue of one job.
import { expect, test } from 'vitest';
import type { Bucket, BucketObject } from '../../src/demo/bucket.ts';
import { enqueueDoomed } from '../../src/demo/dead-letter.ts';
import { requestOf } from '../../src/demo/documents.ts';
import type { JobState, Operator, Producer } from '../../src/index.ts';

const { signal } = new AbortController();
const request = requestOf('acme', 'docs', { path: 'a.txt', text: 'text' }, 'mark');
const KEY = 'intake/acme/job/1';
const CONTENT: BucketObject = { headers: { 'x-amz-meta-v': '1' }, body: Buffer.from('content') };

/** A queue of one job, which is dead while its content is missing, and done after a replay with its content. */
function stageOf({ replays = true, isStored = true } = {}) {
  const objects = new Map<string, BucketObject>(isStored ? [[KEY, CONTENT]] : []);
  let state: JobState = 'queued';
  const bucket: Bucket = {
    keys: async (prefix = '') => [...objects.keys()].filter((key) => key.startsWith(prefix)),
    get: async (key) => objects.get(key),
    put: async (key, body, headers = {}) => void objects.set(key, { headers, body }),
    remove: async (key) => void (objects.delete(key) && (state = 'dead')),
  };
  const producer = {
    enqueueIndexBulk: async () => [{ status: 'queued', jobId: 'job', revision: 1 }],
    status: async () => ({ state }),
  } as unknown as Producer;
  const operator = {
    deadList: async () => ({ letters: state === 'dead' ? [{}] : [] }),
    replay: async () => void (replays && objects.has(KEY) && (state = 'done')),
  } as unknown as Operator;
  const screen = { say: () => {}, progress: () => {} };
  return { stage: { bucket, producer, operator, screen, signal }, objects };
}

test('a job without its content is a dead letter, and none is left after the replay with the content', async () => {
  const { stage, objects } = stageOf();
  const replay = await enqueueDoomed(stage, request);
  expect(objects.size).toBe(0);
  expect(await replay()).toEqual({ before: 1, after: 0 });
  expect(objects.get(KEY)).toEqual(CONTENT);
});

test('a replay without effect leaves the dead letter in the figures', async () => {
  const { stage } = stageOf({ replays: false });
  expect(await (await enqueueDoomed(stage, request))(0)).toEqual({ before: 1, after: 1 });
});

test('a job without content in S3 is an error', async () => {
  await expect(enqueueDoomed(stageOf({ isStored: false }).stage, request)).rejects.toThrow('is not in S3');
});
