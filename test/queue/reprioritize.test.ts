// Returning jobs get a current priority, whatever delayed them: they overtake no other, and none is forgotten.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { JOBS_PER_TURN } from '../../src/queue/fair-share/fair-share.ts';
import { startFairShareLoop, type FairShareLoop } from '../../src/queue/fair-share/fair-share-maintenance.ts';
import { reprioritize } from '../../src/queue/fair-share/reprioritize.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../support/clock.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;
let loops: FairShareLoop[];
const faults: unknown[] = [];

beforeEach(async () => {
  fixture = await openFixture();
  loops = [];
  faults.length = 0;
});
afterEach(async () => {
  for (const startLoop of loops) await startLoop.stop();
  await fixture[Symbol.asyncDispose]();
  if (faults.length > 0) throw faults[0];
});

/** Checks when the test triggers it. */
async function startLoop(clock = new FakeClock(Date.now())): Promise<FairShareLoop> {
  const started = startFairShareLoop({
    redis: fixture.redis,
    keys: fixture.keys,
    clock,
    onFault: (error) => faults.push(error),
  });
  loops.push(started);
  await started.tick();
  return started;
}

/** Virtual time is far from its start: a tenant has waited long, and one job of it is left. */
async function timeIs(priority: number): Promise<void> {
  await fixture.queue.add(newJobId(), dataOf({ tenant: 'head' }), priority);
  const time = (priority - 1) * JOBS_PER_TURN;
  await fixture.redis.hset(fixture.keys.fairClock, { base: 0, now: time, high: time });
}

async function delayed(delay: number, priority: number, data: object = dataOf()): Promise<string> {
  const id = newJobId();
  await fixture.bull.add('index', data, { jobId: id, delay, priority });
  return id;
}

const priorityOf = async (id: string): Promise<number> =>
  Number(await fixture.redis.hget(fixture.bull.toKey(id), 'priority'));

test('a delayed job due soon gets a fresh priority, and one due later keeps its own', async () => {
  await timeIs(500);
  const [soon, over, late] = [await delayed(1500, 2), await delayed(1, 2), await delayed(600_000, 2)];
  await startLoop();
  expect([await priorityOf(soon), await priorityOf(over), await priorityOf(late)]).toEqual([500, 500, 2]);
});

test('a delayed job from before a restart of time gets a fresh priority, so that it does not wait forever', async () => {
  await timeIs(10);
  const id = await delayed(1000, 1_900_000);
  await startLoop();
  expect(await priorityOf(id)).toBe(10);
});

test('another check costs a tenant nothing, and keeps a better priority of a job', async () => {
  await timeIs(500);
  for (let n = 0; n < 10 * JOBS_PER_TURN; n++) await fixture.add({ tenant: 'acme' });
  const earned = await delayed(1000, 505);
  const old = await delayed(1000, 2);
  const first = await startLoop();
  const [was, finish] = [await priorityOf(old), await fixture.redis.hget(fixture.keys.fairTenants, 'acme')];
  expect(was).toBe(510);
  await first.tick();
  expect([await priorityOf(earned), await priorityOf(old)]).toEqual([505, was]);
  expect(await fixture.redis.hget(fixture.keys.fairTenants, 'acme')).toBe(finish);
});

test('1,200 jobs due together all get a fresh priority, and share the queue with others', async () => {
  await timeIs(500);
  const ids = await Promise.all(Array.from({ length: 1200 }, () => delayed(1000, 2)));
  await startLoop();
  const priorities = await Promise.all(ids.map(priorityOf));
  expect(Math.min(...priorities)).toBe(500);
  expect(Math.max(...priorities)).toBe(500 + Math.ceil(1200 / JOBS_PER_TURN) - 1);
});

test('a job not added by the producer gets its first priority when it returns, and is counted from then on', async () => {
  await timeIs(7);
  const [named, nameless] = [await delayed(1000, 0, { tenant: 'acme' }), await delayed(1000, 0, ['no tenant'])];
  await startLoop();
  expect([await priorityOf(named), await priorityOf(nameless)]).toEqual([7, 7]);
  expect(await fixture.redis.hgetall(fixture.keys.backlogJobs)).toEqual({ acme: '1', '-': '1' });
});

test('replayed jobs get fresh priorities in the given order', async () => {
  await timeIs(40);
  const ids = await Promise.all(Array.from({ length: 600 }, () => delayed(600_000, 1)));
  await reprioritize(fixture.redis, fixture.keys, [...ids, newJobId()]);
  expect(await Promise.all(ids.map(priorityOf))).toEqual(ids.map((_, n) => 40 + Math.floor(n / JOBS_PER_TURN)));
});

test('one of several processes checks due jobs, and another takes over when it stops', async () => {
  await timeIs(500);
  const [first, second] = [await startLoop(), await startLoop()];
  const id = await delayed(1, 2);
  await second.tick();
  expect(await priorityOf(id)).toBe(2);
  await first.tick();
  expect(await priorityOf(id)).toBe(500);
  await Promise.all([first.stop(), first.stop()]);
  const next = await delayed(1, 2);
  await first.tick();
  expect(await priorityOf(next)).toBe(2);
  await second.tick();
  expect(await priorityOf(next)).toBe(500);
});

test('the check runs once a second, and leaves no timer when stopped', async () => {
  await timeIs(500);
  const clock = new FakeClock(Date.now());
  const started = await startLoop(clock);
  const id = await delayed(clock.now() + 2500 - Date.now(), 2);
  await started.tick();
  expect(await priorityOf(id)).toBe(2);
  await eventually(() => clock.pending === 1);
  clock.advance(1000);
  expect(await eventually(async () => (await priorityOf(id)) === 500)).toBe(true);
  await started.stop();
  expect(clock.pending).toBe(0);
});

test('a worker runs the check until it stops, also for a job that returns after its backoff', async () => {
  const worker = await fixture.worker(async () => ({
    kind: 'retry',
    code: 'STORE_FAILED',
    spendsAttempt: false,
    afterMs: 60_000,
  }));
  const id = await fixture.add({ tenant: 'acme' });
  await eventually(async () => (await fixture.queue.status(id)).state === 'retrying');
  const lease = fixture.keys.lease('fair-share');
  expect(await eventually(async () => (await fixture.redis.exists(lease)) === 1)).toBe(true);
  await worker.stop();
  expect(await fixture.redis.exists(lease)).toBe(0);
  await timeIs(500);
  expect(await priorityOf(id)).toBe(1);
  await startLoop(new FakeClock(Date.now() + 60_000));
  expect(await priorityOf(id)).toBe(500);
});
