// Releasing parked jobs at a gate: oldest first, in small batches at first, only while allowed, and with invalid entries.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { promoter, releaseParked, type ReleaseDeps } from '../../src/queue/parked/parked.ts';
import { JOB_OPTIONS } from '../../src/queue/bull/queues.ts';
import { openRedis } from '../../src/runtime/redis.ts';
import { eventually } from '../support/eventually.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

const GATE = 'acme:0123456789abcdef';

let fixture: Fixture;
let index: string;
let batches: string[][];

beforeEach(async () => {
  fixture = await openFixture();
  index = fixture.keys.parked(GATE);
  batches = [];
});

afterEach(() => fixture[Symbol.asyncDispose]());

/** Parks the given number of jobs, in the order of the result. */
async function parked(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, newJobId);
  await fixture.bull.addBulk(
    ids.map((jobId) => ({
      name: 'index',
      data: dataOf(),
      opts: { ...JOB_OPTIONS, jobId, priority: 1, delay: 3_600_000 },
    })),
  );
  await fixture.redis.zadd(index, ...ids.toReversed().flatMap((id, at) => [ids.length - at, id]));
  return ids;
}

const release = (
  goesOn: () => Promise<boolean> = async () => true,
  change: Partial<ReleaseDeps> = {},
): Promise<boolean> =>
  releaseParked(
    {
      redis: fixture.redis,
      keys: fixture.keys,
      queueKey: fixture.bull.toKey(''),
      promote: promoter(fixture.bull),
      reprioritize: async (ids) => void batches.push([...ids]),
      ...change,
    },
    GATE,
    goesOn,
  );

const entries = (): Promise<string[]> => fixture.redis.zrange(index, '0', '-1');
const counts = async (): Promise<[number, number]> => [
  await fixture.bull.getDelayedCount(),
  await fixture.redis.zcard(fixture.bull.toKey('prioritized')),
];

test('a release moves jobs oldest first, in growing batches, with a fresh priority', async () => {
  const ids = await parked(1700);
  expect(await release()).toBe(true);
  expect(batches.map(({ length }) => length)).toEqual([10, 20, 40, 80, 160, 320, 500, 500, 70]);
  expect(batches.flat()).toEqual(ids);
  expect([await counts(), await entries()]).toEqual([[0, 1700], []]);
});

test('an aborted release stops between two batches and leaves the rest parked', async () => {
  const ids = await parked(100);
  let checks = 0;
  expect(await release(async () => (checks += 1) <= 2)).toBe(false);
  expect(await entries()).toEqual(ids.slice(30));
  expect(await counts()).toEqual([70, 30]);
  expect(await release(async () => false)).toBe(false);
  expect(await counts()).toEqual([70, 30]);
  expect(await release()).toBe(true);
  expect([await counts(), await entries()]).toEqual([[0, 100], []]);
});

test('a release keeps entries of active jobs without delay, and removes those of deleted or queued jobs', async () => {
  const ids = await parked(60);
  const [working, gone, queued] = [ids.slice(0, 25), ids.slice(25, 30), ids.slice(30, 35)];
  for (const id of [...working, ...queued]) await promoter(fixture.bull)(id);
  for (const id of working) await fixture.redis.set(`${fixture.bull.toKey(id)}:lock`, 'token');
  for (const id of gone) await fixture.bull.remove(id);
  expect(await release()).toBe(true);
  expect(await entries()).toEqual(working);
  expect(await counts()).toEqual([0, 55]);
});

test('a job that fails to be promoted keeps its entry, and the others of its batch lose theirs', async () => {
  const ids = await parked(10);
  const failing = new Error('Redis is away');
  const promote: ReleaseDeps['promote'] = async (id) => {
    if (id === ids[3]) throw failing;
    return promoter(fixture.bull)(id);
  };
  await expect(release(undefined, { promote })).rejects.toBe(failing);
  expect([await counts(), await entries()]).toEqual([[1, 9], [ids[3]]]);
  expect(await release()).toBe(true);
  expect([await counts(), await entries()]).toEqual([[0, 10], []]);
});

test('two parallel releases promote every job once', async () => {
  await parked(300);
  expect(await Promise.all([release(), release()])).toEqual([true, true]);
  expect([await counts(), await entries()]).toEqual([[0, 300], []]);
});

test('a batch is not released if its new priorities cannot be written', async () => {
  const ids = await parked(5);
  const reprioritize = (): Promise<void> => Promise.reject(new Error('Redis is away'));
  await expect(release(undefined, { reprioritize })).rejects.toThrow('Redis is away');
  expect([await counts(), await entries()]).toEqual([[5, 0], ids]);
});

/** The connection of a process that dies before it removes entries. */
async function dying(): Promise<ReleaseDeps['redis']> {
  const redis = await openRedis(fixture.config, 'patient');
  return Object.assign(redis, { sealdex_park_forget: () => Promise.reject(new Error('killed')) });
}

test('a release killed between promotion and removal of entries loses no job; the next one continues', async () => {
  const ids = await parked(50);
  const redis = await dying();
  await expect(release(undefined, { redis })).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  redis.disconnect();
  expect([await counts(), await entries()]).toEqual([[40, 10], ids]);
  expect(await release()).toBe(true);
  expect([await counts(), await entries()]).toEqual([[0, 50], []]);
});

test('jobs run once if another process continues the release of a killed one', async () => {
  const ids = await parked(30);
  const redis = await dying();
  await expect(release(undefined, { redis })).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  redis.disconnect();
  const runs: string[] = [];
  await fixture.worker(async ({ id }) => {
    runs.push(id);
    return { kind: 'done' };
  });
  await eventually(async () => runs.length === 10 && (await fixture.queue.counts()).index.active === 0);
  expect(await entries()).toEqual(ids);
  expect(await release()).toBe(true);
  await eventually(async () => runs.length >= ids.length && (await fixture.queue.counts()).index.active === 0);
  expect(runs.toSorted()).toEqual(ids.toSorted());
  expect([await counts(), await entries()]).toEqual([[0, 0], []]);
});
