// One idempotency key is one job: repeated, in parallel, after its end, and after the death of producers.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { EnqueueResult, IndexRequest, Producer } from '../../src/producer/producer.ts';
import { eventually } from '../support/eventually.ts';
import { codeOf, documentOf, ended, openScene, type Scene } from './fixture.ts';

const CHILD = fileURLToPath(new URL('./enqueue-child.ts', import.meta.url));

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_INLINE_BYTES: 0 });
  await scene.tenant('acme');
  await scene.tenant('other');
  producer = await scene.producer();
});
afterAll(() => scene[Symbol.asyncDispose]());

const request = (key: string, more: Partial<IndexRequest> = {}): IndexRequest => ({
  tenant: 'acme',
  corpus: 'docs',
  document: documentOf(key),
  idempotencyKey: key,
  ...more,
});

const markerOf = ({ jobId }: EnqueueResult): string => `sealdex:{${scene.config.queue}}:markers:${jobId}`;
const objectsOf = ({ jobId }: EnqueueResult): Promise<string[]> => scene.keysOf(`intake/acme/${jobId}/`);

/** Runs a worker until the job has ended. */
async function workUntilEnded(job: EnqueueResult, ...states: Parameters<typeof ended>[2][]): Promise<void> {
  const stop = await scene.work();
  try {
    await ended(producer, job.jobId, ...states);
  } finally {
    await stop();
  }
}

describe('the same idempotency key', () => {
  it('used twice is one job; the second result has the first revision and the state of the job', async () => {
    const first = await producer.enqueueIndex(request('twice'));
    const { jobId, revision } = first;
    expect(first).toEqual({ status: 'queued', jobId, revision });
    const second = await producer.enqueueIndex(request('twice'));
    expect(second).toEqual({ status: 'duplicate', jobId, revision, state: 'queued' });
    expect(await objectsOf(first)).toHaveLength(1);
  });

  it('used for another tenant or corpus is another job, and a request without a key is never a duplicate', async () => {
    const jobs = await Promise.all([
      producer.enqueueIndex(request('shared')),
      producer.enqueueIndex(request('shared', { corpus: 'more' })),
      producer.enqueueIndex(request('shared', { tenant: 'other' })),
      producer.enqueueIndex(request('shared', { idempotencyKey: undefined })),
      producer.enqueueIndex(request('shared', { idempotencyKey: undefined })),
    ]);
    expect(jobs.map(({ status }) => status)).toEqual(Array.from(jobs, () => 'queued'));
    expect(new Set(jobs.map(({ jobId }) => jobId)).size).toBe(jobs.length);
  });

  it('used 200 times at once in three producers is one job: one result is queued, the others are duplicates', async () => {
    const inline = { SEALDEX_INLINE_BYTES: 4096 };
    const producers = [await scene.producer(inline), await scene.producer(inline), await scene.producer(inline)];
    for (const one of producers) await one.enqueueIndex(request('warm', { idempotencyKey: undefined }));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => producers[index % 3]!.enqueueIndex(request('crowd'))),
    );
    const [queued, ...more] = answers.filter(({ status }) => status === 'queued');
    expect(more).toEqual([]);
    expect(new Set(answers.map(({ jobId, revision }) => `${jobId} ${revision}`)).size).toBe(1);
    expect((await scene.operator.job(queued!.jobId)).data).toMatchObject({ revision: queued!.revision });
  });

  it('used in parallel with content in S3 leaves only the object of the job', async () => {
    const producers = [producer, await scene.producer()];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => producers[index % 2]!.enqueueIndex(request('objects'))),
    );
    expect(answers.filter(({ status }) => status === 'queued')).toHaveLength(1);
    const { jobId } = answers[0]!;
    const { data } = await scene.operator.job(jobId);
    const intake = data?.kind === 'index' && 'intake' in data.content ? data.content.intake : '';
    expect(await objectsOf(answers[0]!)).toEqual([
      expect.stringMatching(new RegExp(`^intake/acme/${jobId}/.*/${intake}$`)),
    ]);
  });

  it('used in parallel while workers finish the job still returns queued once', async () => {
    const producers = [producer, await scene.producer()];
    const stop = await scene.work();
    try {
      for (let round = 0; round < 10; round++) {
        const sent = request(`race-${round}`);
        const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => producers[at % 2]!.enqueueIndex(sent)));
        expect(answers.filter(({ status }) => status === 'queued')).toHaveLength(1);
        await ended(producer, answers[0]!.jobId);
        await eventually(async () => (await objectsOf(answers[0]!)).length === 0);
      }
    } finally {
      await stop();
    }
  });

  it('returns state "done" for a duplicate of a finished job', async () => {
    const first = await producer.enqueueIndex(request('done'));
    await workUntilEnded(first);
    const { jobId, revision } = first;
    expect(await producer.enqueueIndex(request('done'))).toEqual({
      status: 'duplicate',
      jobId,
      revision,
      state: 'done',
    });
  });

  it('returns state "dead" and the code for a duplicate of a dead job, and the state after its status note expired', async () => {
    const stored = await producer.enqueueIndex(request('stored'));
    await workUntilEnded(stored);
    const conflicting = request('dead', { document: documentOf('stored'), ifExists: 'reject' });
    const dead = await producer.enqueueIndex(conflicting);
    await workUntilEnded(dead, 'dead');
    const { jobId, revision } = dead;
    const answer = { status: 'duplicate', jobId, revision, state: 'dead', code: 'DOCUMENT_CONFLICT' };
    expect(await producer.enqueueIndex(conflicting)).toEqual(answer);
    await scene.redis.del(`sealdex:{${scene.config.queue}}:notes:${stored.jobId}`);
    expect(await producer.enqueueIndex(request('stored'))).toMatchObject({ jobId: stored.jobId, state: 'done' });
  });
});

describe('the same idempotency key, used after a producer died', () => {
  it('between marker and job, adds the job under the same id and revision', async () => {
    const fault = scene.services.s3.faults.set({
      match: { method: 'PUT', prefix: 'intake/' },
      fault: { kind: 'hang' },
    });
    const settings = JSON.stringify(scene.settings);
    const child = spawn(process.execPath, [CHILD, settings, JSON.stringify(request('killed'))], { stdio: 'ignore' });
    await eventually(() => fault.waiting === 1);
    child.kill('SIGKILL');
    await once(child, 'exit');
    fault.clear();
    const markers = await scene.redis.keys(`sealdex:{${scene.config.queue}}:markers:*`);
    const unconfirmed = [];
    for (const key of markers) if (!(await scene.redis.hexists(key, 'confirmed'))) unconfirmed.push(key);
    expect(unconfirmed).toHaveLength(1);
    const revision = Number(await scene.redis.hget(unconfirmed[0]!, 'revision'));
    const again = await producer.enqueueIndex(request('killed'));
    expect(again).toEqual({ status: 'queued', jobId: unconfirmed[0]!.split(':').at(-1), revision });
    expect(await producer.enqueueIndex(request('killed'))).toMatchObject({ status: 'duplicate', revision });
    await workUntilEnded(again);
  });

  it('between job and confirmation, finds the job, adds none and leaves no object behind', async () => {
    const first = await producer.enqueueIndex(request('unconfirmed'));
    await scene.redis.hdel(markerOf(first), 'confirmed');
    const { jobId, revision } = first;
    const again = await Promise.all([1, 2, 3].map(() => producer.enqueueIndex(request('unconfirmed'))));
    for (const answer of again) expect(answer).toEqual({ status: 'duplicate', jobId, revision, state: 'queued' });
    expect(await objectsOf(first)).toHaveLength(1);
  });

  it('between job and confirmation, returns the outcome of a job finished meanwhile and adds none', async () => {
    const first = await producer.enqueueIndex(request('ended'));
    await scene.redis.hdel(markerOf(first), 'confirmed');
    await workUntilEnded(first);
    const { jobId, revision } = first;
    const again = await producer.enqueueIndex(request('ended'));
    expect(again).toEqual({ status: 'duplicate', jobId, revision, state: 'done' });
    expect(await scene.jobs()).not.toContain(jobId);
  });
});

it('a foreign entry under the id of the job does not count as the job, and causes no crash', async () => {
  const first = await producer.enqueueIndex(request('foreign'));
  await scene.redis.hdel(markerOf(first), 'confirmed');
  for (const data of ['{}', 'null', '[]', '{"content":7}', 'no json']) {
    await scene.redis.hset(`sealdex:{${scene.config.queue}}:index:${first.jobId}`, 'data', data);
    const answer = await producer.enqueueIndex(request('foreign')).catch((error: unknown) => error);
    expect(answer instanceof SealdexError || (answer as EnqueueResult).jobId === first.jobId).toBe(true);
  }
  await scene.redis.del(`sealdex:{${scene.config.queue}}:index:${first.jobId}`);
});

describe('the same idempotency key, used after its marker expired,', () => {
  it('finds its waiting job with its revision, and leaves no object behind', async () => {
    const first = await producer.enqueueIndex(request('expired'));
    await scene.redis.del(markerOf(first));
    const { jobId, revision } = first;
    for (const _ of [1, 2]) {
      const again = await producer.enqueueIndex(request('expired'));
      expect(again).toEqual({ status: 'duplicate', jobId, revision, state: 'queued' });
    }
    expect(await objectsOf(first)).toHaveLength(1);
    await workUntilEnded(first);
  });

  it('is a new job with a higher revision if the job is done', async () => {
    const first = await producer.enqueueIndex(request('over'));
    await workUntilEnded(first);
    await scene.redis.del(markerOf(first));
    const again = await producer.enqueueIndex(request('over'));
    expect(again).toMatchObject({ status: 'queued', jobId: first.jobId });
    expect(again.revision).toBeGreaterThan(first.revision);
  });

  it('expires after SEALDEX_IDEMPOTENCY_MS, not later with duplicates', async () => {
    const short = await scene.producer({ SEALDEX_IDEMPOTENCY_MS: 60_000 });
    const first = await short.enqueueIndex(request('short'));
    expect(await scene.redis.pttl(markerOf(first))).toBeLessThanOrEqual(60_000);
    await producer.enqueueIndex(request('short'));
    expect(await scene.redis.pttl(markerOf(first))).toBeLessThanOrEqual(60_000);
  });
});

it('a Redis that lost everything makes the same key a new job, and does not use the old revision again', async () => {
  const first = await producer.enqueueIndex(request('flushed'));
  const keys = await scene.redis.keys(`sealdex:{${scene.config.queue}}:*`);
  await scene.redis.del(...keys);
  const again = await producer.enqueueIndex(request('flushed'));
  expect(again).toMatchObject({ status: 'queued', jobId: first.jobId });
  expect(again.revision).toBeGreaterThan(first.revision);
  await workUntilEnded(again);
});

it('a request rejected for its tenant leaves no key behind', async () => {
  expect(await codeOf(() => producer.enqueueIndex(request('later', { tenant: 'late' })))).toBe('TENANT_UNKNOWN');
  await scene.tenant('late');
  expect(await producer.enqueueIndex(request('later', { tenant: 'late' }))).toMatchObject({ status: 'queued' });
});
