// Content under the platform key is counted once per job, and leaves the count when its job ends, wherever a producer dies.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { recount, repairBacklog } from '../../src/queue/backlog/recount.ts';
import { JOB_OPTIONS } from '../../src/queue/bull/queues.ts';
import { writeStatusNote } from '../../src/queue/bull/status-notes.ts';
import { deleteQueueState } from '../../src/queue/bull/tenant-state.ts';
import { removeTenantJob } from '../../src/queue/bull/tenant-jobs.ts';
import { eventually } from '../support/eventually.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

const content = (tenant = 'acme') => fixture.queue.platformContent(tenant);

/** Adds a job as the producer does, with the given number of bytes under the platform key. */
async function add(platformKeyBytes: number, tenant = 'acme'): Promise<string> {
  const id = newJobId();
  await fixture.queue.add(id, dataOf({ tenant }), 1, { platformKeyBytes });
  return id;
}

/** Adds a job as a producer that dies before it counts the content. */
async function addAndDie(platformKeyBytes: number): Promise<string> {
  const id = newJobId();
  const options = { ...JOB_OPTIONS, jobId: id, priority: 1, platformKeyBytes };
  await fixture.bull.add('index', dataOf(), options);
  return id;
}

const note = (id: string, state: 'done' | 'superseded' | 'dead') =>
  writeStatusNote(fixture.redis, fixture.keys, systemClock, id, 60_000, { state });

describe('content under the platform key', () => {
  test('is counted by tenant and in total, and other content is not', async () => {
    await add(1000);
    await add(500);
    await add(70, 'other');
    await fixture.add();
    expect([await content(), await content('other'), await content('none')]).toEqual([
      { jobs: 2, bytes: 1500 },
      { jobs: 1, bytes: 70 },
      { jobs: 0, bytes: 0 },
    ]);
    expect(await fixture.queue.platformContent()).toEqual({ jobs: 3, bytes: 1570 });
  });

  const OUTCOMES: [Outcome, number][] = [
    [{ kind: 'done' }, 0],
    [{ kind: 'done', superseded: true }, 0],
    [{ kind: 'dead', code: 'CONTENT_TAMPERED' }, 1],
    [{ kind: 'park', code: 'KEY_DISABLED', gate: 'acme:0' }, 1],
    [{ kind: 'retry', code: 'STORE_FAILED', spendsAttempt: true }, 1],
  ];

  test.each(OUTCOMES)('after the outcome %j counts for %i jobs', async (outcome, left) => {
    const id = await add(1000);
    await fixture.worker(async () => outcome);
    await eventually(async () => !['queued', 'active'].includes((await fixture.queue.status(id)).state));
    expect(await content()).toEqual({ jobs: left, bytes: left * 1000 });
  });

  test('is counted once if its job is added again, and leaves once', async () => {
    const id = await add(1000);
    await fixture.queue.add(id, dataOf(), 1, { platformKeyBytes: 900 });
    await add(20);
    expect(await content()).toEqual({ jobs: 2, bytes: 1020 });
    await note(id, 'done');
    await note(id, 'superseded');
    expect(await content()).toEqual({ jobs: 1, bytes: 20 });
    await note(id, 'dead');
    expect(await content()).toEqual({ jobs: 2, bytes: 1020 });
  });

  test('is not counted if another producer added the job, with content under the key of the tenant', async () => {
    const id = await fixture.add();
    await fixture.queue.add(id, dataOf(), 1, { platformKeyBytes: 900 });
    expect(await content()).toEqual({ jobs: 0, bytes: 0 });
  });

  test('leaves the count with a discarded dead letter', async () => {
    const id = await add(1000);
    await fixture.worker(async () => ({ kind: 'dead', code: 'CONTENT_TAMPERED' }));
    await eventually(async () => (await fixture.queue.status(id)).state === 'dead');
    expect(await content()).toEqual({ jobs: 1, bytes: 1000 });
    await eventually(async () => (await fixture.queue.letters.discard({}, async () => {})).discarded === 1);
    expect(await content()).toEqual({ jobs: 0, bytes: 0 });
  });

  test('leaves the count with a deleted tenant', async () => {
    const jobId = await add(1000);
    await add(70, 'other');
    expect(await removeTenantJob(fixture.redis, fixture.keys, { queue: 'index', jobId, kind: 'index' }, false)).toBe(
      'job',
    );
    expect(await content()).toEqual({ jobs: 0, bytes: 0 });
    await deleteQueueState(fixture.redis, fixture.keys, 'other', false);
    expect(await fixture.redis.exists(fixture.keys.platformJobs, fixture.keys.platformBytes)).toBe(0);
  });
});

describe('a recount', () => {
  test('counts content, until its job ends, if the producer died after it added the job', async () => {
    const id = await addAndDie(1000);
    expect(await content()).toEqual({ jobs: 0, bytes: 0 });
    await recount(fixture.redis, fixture.keys);
    expect(await content()).toEqual({ jobs: 1, bytes: 1000 });
    await recount(fixture.redis, fixture.keys);
    expect(await content()).toEqual({ jobs: 1, bytes: 1000 });
    await note(id, 'done');
    expect(await content()).toEqual({ jobs: 0, bytes: 0 });
  });

  test('leaves content uncounted if its job ended before', async () => {
    await note(await addAndDie(1000), 'done');
    await recount(fixture.redis, fixture.keys);
    expect(await content()).toEqual({ jobs: 0, bytes: 0 });
  });

  test('corrects counters that are wrong, also the bytes alone', async () => {
    await add(1000);
    await add(30, 'other');
    await fixture.redis.hincrby(fixture.keys.platformBytes, 'acme', 7);
    await fixture.redis.hincrby(fixture.keys.platformJobs, 'other', 2);
    await fixture.redis.hset(fixture.keys.platformJobs, 'ghost', 5);
    await recount(fixture.redis, fixture.keys);
    expect([await content(), await content('other'), await content('ghost')]).toEqual([
      { jobs: 1, bytes: 1000 },
      { jobs: 1, bytes: 30 },
      { jobs: 0, bytes: 0 },
    ]);
    expect(await fixture.redis.hexists(fixture.keys.platformJobs, 'ghost')).toBe(0);
  });

  test('deletes the counters if no job is in the queues', async () => {
    await fixture.redis.hset(fixture.keys.platformJobs, 'ghost', 5);
    expect(await repairBacklog(fixture.redis, fixture.keys)).toBe('emptied');
    expect(await fixture.queue.platformContent()).toEqual({ jobs: 0, bytes: 0 });
  });
});
