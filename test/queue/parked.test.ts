// Parking a job and releasing it, move by move: the job is found again after the death of a process at any move.
import { Worker, type Job } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JobData } from '../../src/jobs/jobs.ts';
import { park, parseParked, promoter, type ParkDeps } from '../../src/queue/parked/parked.ts';
import { closeRedis, openRedis, type Redis } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { openFixture, type Fixture } from './fixture.ts';

const GATE = 'acme:0123456789abcdef';
const AT = { gate: GATE, code: 'KEY_DISABLED' } as const;
const DAY_MS = 86_400_000;
const TOKEN = 'token';

let fixture: Fixture;
let connection: Redis;
let taker: Worker<JobData, null>;
let clock: FakeClock;
let index: string;

beforeEach(async () => {
  fixture = await openFixture();
  clock = new FakeClock(Date.now());
  index = fixture.keys.parked(GATE);
  connection = await openRedis(fixture.config, 'queue');
  taker = new Worker('index', null, { connection, prefix: fixture.keys.prefix, autorun: false });
  taker.on('error', () => {});
});

afterEach(async () => {
  await taker.close(true);
  closeRedis(connection);
  await fixture[Symbol.asyncDispose]();
});

const depsWith = (change: Partial<ParkDeps> = {}): ParkDeps => ({
  redis: fixture.redis,
  keys: fixture.keys,
  clock,
  parkedMaxMs: 30 * DAY_MS,
  isOpen: () => false,
  refresh: async () => {},
  queueKey: fixture.bull.toKey(''),
  promote: promoter(fixture.bull),
  ...change,
});

/** An active job with its lock. */
async function take(): Promise<Job<JobData, null>> {
  return await taker.getNextJob(TOKEN, { block: false });
}

async function taken(): Promise<Job<JobData, null>> {
  await fixture.add();
  return take();
}

const noteOf = async (id = ''): Promise<ReturnType<typeof parseParked>> =>
  parseParked(await fixture.redis.hget(fixture.bull.toKey(id), 'parked'));
const entries = (): Promise<string[]> => fixture.redis.zrange(index, '0', '-1');
const all = async (): Promise<boolean> => true;
const releaseAll = (): Promise<boolean> => fixture.queue.release(GATE, all);

/** The job with another implementation of its delay. */
const moving = (job: Job<JobData, null>, move: (really: () => Promise<void>) => Promise<void>): Job<JobData, null> =>
  Object.assign(Object.create(job) as Job<JobData, null>, {
    id: job.id,
    moveToDelayed: (at: number, token: string) => move(() => job.moveToDelayed(at, token)),
  });

test('a parked job is in the index before it is delayed', async () => {
  const job = await taken();
  let before: string[] | undefined;
  const seen = moving(job, async (really) => {
    before = await entries();
    await really();
  });
  expect(await park(depsWith(), seen, TOKEN, AT)).toBe('parked');
  expect(before).toEqual([job.id]);
  expect([await job.getState(), await entries()]).toEqual(['delayed', [job.id]]);
});

const killed = new Error('killed');
const kill = (): never => {
  throw killed;
};

/** The step of each death, in order; the gate is open by then, so that all steps run. */
const KILLS: Record<string, { job?: (job: Job<JobData, null>) => Job<JobData, null>; deps?: Partial<ParkDeps> }> = {
  'after the entry': { job: (job) => moving(job, async () => kill()) },
  'after the delay': { job: (job) => moving(job, async (really) => (await really(), kill())) },
  'after the note': { deps: { isOpen: kill } },
  'after another read of the gates': { deps: { isOpen: () => true, promote: async () => kill() } },
  'after the promotion': {
    deps: { isOpen: () => true, promote: async (id) => (await promoter(fixture.bull)(id), kill()) },
  },
};

test.for(Object.entries(KILLS))('a job is not lost if its process is killed %s', async ([, { job: as, deps }]) => {
  const job = await taken();
  await expect(park(depsWith(deps), as?.(job) ?? job, TOKEN, AT)).rejects.toBe(killed);
  expect(await entries()).toEqual([job.id]);
  await fixture.redis.del(`${fixture.bull.toKey(job.id ?? '')}:lock`);
  expect(await releaseAll()).toBe(true);
  expect(await entries()).toEqual([]);
  const done: string[] = [];
  // Jobs of a dead process return as stalled ones, after two checks for those.
  await eventually(async () => {
    await fixture.redis.del(fixture.bull.toKey('stalled-check'));
    const worker = await fixture.worker(async ({ id }) => (done.push(id), { kind: 'done' }));
    await eventually(async () => (await fixture.redis.exists(fixture.bull.toKey('stalled-check'))) === 1);
    await worker.stop();
    return done.length > 0;
  });
  expect(done).toEqual([job.id]);
});

test('a job parked at a gate that opened meanwhile is released at once, after another read of the gates', async () => {
  const job = await taken();
  await fixture.redis.hset(fixture.keys.gates, GATE, '8 the gate of now');
  const steps: string[] = [];
  const deps = depsWith({
    isOpen: (text) => (steps.push(text), true),
    refresh: async () => void steps.push(await job.getState()),
  });
  expect(await park(deps, job, TOKEN, AT)).toBe('parked');
  expect(steps).toEqual(['8 the gate of now', 'delayed']);
  expect([await job.getState(), await entries()]).toEqual(['prioritized', []]);
});

test('a job is not left behind by a release during its parking', async () => {
  const job = await taken();
  const passed = moving(job, async (really) => {
    expect(await releaseAll()).toBe(true);
    expect(await entries()).toEqual([job.id]);
    await really();
  });
  await park(depsWith({ isOpen: () => true }), passed, TOKEN, AT);
  expect([await job.getState(), await entries()]).toEqual(['prioritized', []]);
});

test('a job released and finished during its parking leaves no entry', async () => {
  const job = await taken();
  const ended = moving(job, async (really) => {
    await really();
    await job.remove();
  });
  await park(depsWith(), ended, TOKEN, AT);
  expect(await entries()).toEqual([]);
  expect(await fixture.redis.exists(fixture.bull.toKey(job.id ?? ''))).toBe(0);
});

test('a job parked again keeps its position and park time, increments its count, and spends no attempt', async () => {
  let job = await taken();
  const first = clock.now();
  await park(depsWith(), job, TOKEN, AT);
  expect(await noteOf(job.id)).toEqual({ code: 'KEY_DISABLED', since: first, count: 1, gate: GATE });
  clock.advance(60_000);
  const younger = await taken();
  await park(depsWith(), younger, TOKEN, AT);
  for (const count of [2, 3]) {
    clock.advance(60_000);
    await promoter(fixture.bull)(job.id ?? '');
    await fixture.redis.zrem(index, job.id ?? '');
    job = await take();
    await park(depsWith(), job, TOKEN, { ...AT, code: 'KEY_DENIED' });
    expect(await noteOf(job.id)).toEqual({ code: 'KEY_DENIED', since: first, count, gate: GATE });
  }
  expect(await entries()).toEqual([job.id, younger.id]);
  expect(await fixture.redis.zscore(index, job.id ?? '')).toBe(String(first));
  expect((await fixture.bull.getJob(job.id ?? ''))?.attemptsMade).toBe(0);
});

test('a job parked for the maximum time is not parked again', async () => {
  let job = await taken();
  await park(depsWith(), job, TOKEN, AT);
  for (const [ms, answer] of [
    [30 * DAY_MS, 'parked'],
    [1, 'too-long'],
  ] as const) {
    clock.advance(ms);
    await promoter(fixture.bull)(job.id ?? '');
    job = await take();
    expect(await park(depsWith(), job, TOKEN, AT)).toBe(answer);
  }
  expect([await job.getState(), await entries()]).toEqual(['active', []]);
});

test('a job parked for too long becomes a dead letter with a code', async () => {
  const id = await fixture.add();
  await fixture.redis.hset(fixture.bull.toKey(id), 'parked', `KEY_DISABLED ${Date.now() - 30 * DAY_MS - 1} 9 ${GATE}`);
  await fixture.worker(async () => ({ kind: 'park', ...AT }));
  await eventually(async () => (await fixture.queue.status(id)).state === 'dead');
  expect(await fixture.queue.status(id)).toMatchObject({ state: 'dead', code: 'PARKED_TOO_LONG' });
  expect(await entries()).toEqual([]);
});

test('a parked job has a status with code and park time until it is released', async () => {
  const job = await taken();
  const since = clock.now();
  await park(depsWith(), job, TOKEN, AT);
  expect(await fixture.queue.status(job.id ?? '')).toEqual({ state: 'parked', code: 'KEY_DISABLED', since });
  await releaseAll();
  expect(await fixture.queue.status(job.id ?? '')).toEqual({ state: 'queued' });
});

test.for([
  ['is done', { kind: 'done' }, 'done'],
  ['fails in an outage', { kind: 'retry', code: 'STORE_FAILED', spendsAttempt: false }, 'retrying'],
] as const)('a job that returns without a release and %s loses its entry', async ([, outcome, state]) => {
  const job = await taken();
  await park(depsWith(), job, TOKEN, AT);
  // As if its delay had passed.
  await promoter(fixture.bull)(job.id ?? '');
  expect(await entries()).toEqual([job.id]);
  await fixture.worker(async () => outcome);
  await eventually(async () => (await fixture.queue.status(job.id ?? '')).state === state);
  expect(await entries()).toEqual([]);
});
