// The list of jobs: each in its state, from both queues, without invalid entries.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import type { JobFilter, UnfinishedJob } from '../../src/queue/bull/job-list.ts';
import type { Handle } from '../../src/queue/bull/processor.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { eventually } from '../support/eventually.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

const HOUR = 3_600_000;

/** An hour ahead of BullMQ's, so that no delayed job comes back during the test. */
const ahead: Clock = { ...systemClock, now: () => systemClock.now() + HOUR };

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  parked: { kind: 'park', code: 'KEY_DISABLED', gate: 'parked:0' },
  retrying: { kind: 'defer', code: 'TENANT_SLOTS_FULL', afterMs: 60_000 },
  dead: { kind: 'dead', code: 'CONTENT_TAMPERED' },
};

let fixture: Fixture;

beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

const listed = (filter?: JobFilter): Promise<UnfinishedJob[]> => Array.fromAsync(fixture.queue.list(filter));
const idsOf = async (filter?: JobFilter): Promise<string[]> => (await listed(filter)).map(({ jobId }) => jobId);

/** One job in each state, named after its tenant; the active one ends with the returned function. */
async function oneOfEach(): Promise<{ ids: Record<string, string>; end: () => Promise<void> }> {
  const ids: Record<string, string> = {};
  for (const tenant of ['parked', 'retrying', 'dead', 'active']) ids[tenant] = await fixture.add({ tenant });
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const handle: Handle = async ({ data }) => OUTCOMES[(data as { tenant: string }).tenant] ?? promise;
  const parking = { isOpen: () => false, refresh: async () => {} };
  const worker = await fixture.worker(handle, { parking, clock: ahead, concurrency: 2 });
  await eventually(
    async () => (await fixture.bull.getFailedCount()) === 1 && (await fixture.bull.getDelayedCount()) === 2,
  );
  await eventually(() => worker.active() === 1);
  await fixture.bull.pause();
  return {
    ids,
    end: async () => {
      resolve({ kind: 'done' });
      await eventually(() => worker.active() === 0);
    },
  };
}

test('a job is listed with its state, code, tenant, corpus, kind and time, a dead letter is not', async () => {
  const { ids, end } = await oneOfEach();
  const time = expect.any(Number) as number;
  const facts = { queue: 'index', corpus: 'docs', kind: 'index', queuedAt: time };
  expect(await listed()).toEqual([
    { ...facts, jobId: ids['active'], tenant: 'active', state: 'active' },
    { ...facts, jobId: ids['retrying'], tenant: 'retrying', state: 'retrying', code: 'TENANT_SLOTS_FULL' },
    { ...facts, jobId: ids['parked'], tenant: 'parked', state: 'parked', code: 'KEY_DISABLED' },
  ]);
  await end();
  expect(await idsOf({ state: 'active' })).toEqual([]);
});

test('each field of the filter selects jobs', async () => {
  const { ids, end } = await oneOfEach();
  expect(await idsOf({ state: 'parked' })).toEqual([ids['parked']]);
  expect(await idsOf({ state: 'retrying' })).toEqual([ids['retrying']]);
  expect(await idsOf({ state: 'queued' })).toEqual([]);
  expect(await idsOf({ tenant: 'active' })).toEqual([ids['active']]);
  expect(await idsOf({ tenant: 'active', state: 'parked' })).toEqual([]);
  expect(await idsOf({ code: 'KEY_DISABLED' })).toEqual([ids['parked']]);
  expect(await idsOf({ queuedBefore: Date.now() - HOUR })).toEqual([]);
  expect(await idsOf({ queuedBefore: Date.now() + HOUR })).toHaveLength(3);
  await end();
});

test('a released job is queued and has no code', async () => {
  const { ids, end } = await oneOfEach();
  expect(await fixture.queue.release('parked:0', async () => true)).toBe(true);
  expect(await listed({ tenant: 'parked' })).toEqual([
    expect.objectContaining({ jobId: ids['parked'], state: 'queued' }),
  ]);
  expect((await listed({ tenant: 'parked' }))[0]).not.toHaveProperty('code');
  await end();
});

test('jobs of both queues are listed across pages, each once, the next ones first', async () => {
  const ids: string[] = [];
  for (let at = 0; at < 260; at += 1) ids.push(await fixture.add());
  const upload = newJobId();
  const content = { intake: 'a'.repeat(32) };
  await fixture.queue.add(upload, { ...dataOf(), kind: 'upload', content }, 1);
  expect(await idsOf()).toEqual([...ids, upload]);
  expect((await listed()).at(-1)).toMatchObject({ queue: 'upload', kind: 'upload', state: 'queued' });
});

test('an invalid entry is skipped, and unreadable data has no names', async () => {
  const [text, gone, foreign, good] = [newJobId(), newJobId(), newJobId(), await fixture.add()];
  await fixture.redis.set(fixture.bull.toKey(text), 'garbage');
  for (const id of [text, gone]) await fixture.redis.lpush(fixture.bull.toKey('wait'), id);
  await fixture.bull.add('other', '{"tenant":"a b"', { jobId: foreign });
  const jobs = await listed();
  expect(jobs.map(({ jobId }) => jobId)).toEqual([foreign, good]);
  expect(jobs[0]).toEqual({ jobId: foreign, queue: 'index', state: 'queued', queuedAt: expect.any(Number) as number });
});
