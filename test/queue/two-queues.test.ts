// Two queues: data shared by uploads and other jobs (revisions, backlog, gates, dead letters), and separate data.
import { Queue } from 'bullmq';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { newJobId, type UploadJobData } from '../../src/jobs/jobs.ts';
import { recount, repairBacklog } from '../../src/queue/backlog/recount.ts';
import type { ReservationRequest } from '../../src/queue/backlog/backlog.ts';
import { startFairShareLoop } from '../../src/queue/fair-share/fair-share-maintenance.ts';
import { namedIntake } from '../../src/queue/bull/named-intake.ts';
import { countParked } from '../../src/queue/parked/parked-counts.ts';
import type { Reservation } from '../../src/queue/fair-share/reservation.ts';
import { queueKeys, redisKeys, type QueueKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { queueTasks, never } from './dead-letter-fixture.ts';
import { openFixture, type Fixture } from './fixture.ts';

const GATE = 'acme:0123456789abcdef';
const PARK = { kind: 'park', code: 'KEY_DISABLED', gate: GATE } as const;
const UNREADABLE = { kind: 'dead', code: 'FILE_UNREADABLE', reason: 'pdf-encrypted' } as const;

let fixture: Fixture;
let uploads: Queue;
let keys: QueueKeys;

beforeEach(async () => {
  fixture = await openFixture({ SEALDEX_CONCURRENCY: 2, SEALDEX_UPLOAD_CONCURRENCY: 1, SEALDEX_DRAIN_MS: 100 });
  keys = queueKeys(redisKeys(fixture.config.queue), 'upload');
  uploads = new Queue('upload', { connection: fixture.redis, prefix: keys.prefix });
});

afterEach(async () => {
  await uploads.close();
  await fixture[Symbol.asyncDispose]();
});

const share = (queue: ReservationRequest['queue'], tenant = 'acme'): ReservationRequest => ({
  queue,
  tenant,
  bytes: 2000,
});

async function reserved(...requests: ReservationRequest[]): Promise<Reservation[]> {
  const reservations = await fixture.queue.reserve(requests);
  return reservations.map((reservation) => {
    if (reservation instanceof Error) throw reservation;
    return reservation;
  });
}

async function upload(tenant = 'acme'): Promise<string> {
  const id = newJobId();
  const [reservation] = await reserved(share('upload', tenant));
  const content = { intake: '0123456789abcdef' };
  const revision = Date.now() * 1000;
  const data: UploadJobData = {
    v: 1,
    kind: 'upload',
    tenant,
    corpus: 'docs',
    revision,
    object: 'a'.repeat(64),
    content,
  };
  await fixture.queue.add(id, data, reservation?.priority ?? 1);
  return id;
}

/** A worker of each queue, with the same handler. */
async function workers(handle: Parameters<Fixture['worker']>[0]) {
  const { uploadConcurrency: concurrency } = fixture.config;
  const parking = { isOpen: () => false, refresh: async () => {} };
  const both = [
    await fixture.worker(handle, { parking }),
    await fixture.worker(handle, { parking, queueName: 'upload', concurrency }),
  ];
  return { stop: async () => void (await Promise.all(both.map((worker) => worker.stop()))) };
}

const stateOf = async (id: string): Promise<string> => (await fixture.queue.status(id)).state;

async function areAll(state: string, ids: readonly string[]): Promise<void> {
  await eventually(async () => (await Promise.all(ids.map(stateOf))).every((found) => found === state));
}

/** One dead job of each queue, as the worker leaves them. */
async function ended(outcome: typeof PARK | typeof UNREADABLE): Promise<{ document: string; file: string }> {
  const [document, file] = [await fixture.add({ revision: Date.now() * 1000 }), await upload()];
  const running = await workers(async () => outcome);
  await areAll(outcome === PARK ? 'parked' : 'dead', [document, file]);
  await running.stop();
  return { document, file };
}

test('revisions and the backlog count all jobs; virtual time is separate for each queue', async () => {
  const many = Array.from({ length: 40 }, () => share('index'));
  for (const _ of many) await fixture.add();
  const [before] = await reserved(share('index'));
  expect(before?.priority).toBeGreaterThan(5);
  const [file, document, second] = await reserved(share('upload'), share('index'), share('upload'));
  expect([file?.priority, second?.priority]).toEqual([1, 1]);
  expect(document?.priority).toBeGreaterThanOrEqual(before?.priority ?? 0);
  const revisions = [before, file, document, second].map((reservation) => reservation?.revision);
  expect(new Set(revisions).size).toBe(4);
  expect(Math.min(...revisions.map(Number))).toBe(before?.revision);
  expect(await fixture.redis.hget(keys.backlogJobs, 'acme')).toBe('44');
});

test('a tenant with a backlog full of documents cannot add a file either', async () => {
  await using full = await openFixture({ SEALDEX_TENANT_BACKLOG_JOBS: 1 });
  await full.add();
  expect(await full.queue.reserve([share('upload')])).toMatchObject([{ code: 'TENANT_BACKLOG_FULL' }]);
});

test('a recount reads both queues, and forgets the backlog only if both are empty', async () => {
  await upload();
  await fixture.redis.del(keys.backlogJobs, keys.backlogBytes);
  await recount(fixture.redis, keys);
  expect(await fixture.redis.hgetall(keys.backlogJobs)).toEqual({ acme: '1' });
  expect(await repairBacklog(fixture.redis, keys)).not.toBe('emptied');
});

test('parked jobs of both queues wait at one gate, and one release brings all of them back', async () => {
  const { document, file } = await ended(PARK);
  expect(await countParked(fixture.redis, keys, [GATE])).toMatchObject([
    { jobs: 2, oldest: expect.any(Number) as number },
  ]);
  expect((await fixture.queue.parkedPage(GATE, 'index', 0, 10)).entries).toMatchObject([{ jobId: document }]);
  expect((await fixture.queue.parkedPage(GATE, 'upload', 0, 10)).entries).toMatchObject([{ jobId: file }]);
  expect(await fixture.queue.facts(file)).toMatchObject({
    state: 'parked',
    data: { kind: 'upload' },
    parked: { gate: GATE },
  });
  expect(await fixture.queue.release(GATE, async () => true)).toBe(true);
  expect([await stateOf(document), await stateOf(file)]).toEqual(['queued', 'queued']);
  expect(await countParked(fixture.redis, keys, [GATE])).toEqual([{ jobs: 0 }]);
});

test('a release that ends before the uploads reports that jobs are left', async () => {
  const { document, file } = await ended(PARK);
  let checks = 0;
  // A batch of one queue, and the check that finds no more in it.
  expect(await fixture.queue.release(GATE, async () => (checks += 1) <= 2)).toBe(false);
  expect([await stateOf(document), await stateOf(file)]).toEqual(['queued', 'parked']);
});

test('dead letters of both queues are one list: shown, counted, replayed into their own queue, and discarded', async () => {
  const { document, file } = await ended(UNREADABLE);
  const { letters } = fixture.queue;
  const both = [document, file].toSorted();
  const idsOf = async (filter: Parameters<typeof letters.list>[0]): Promise<string[]> =>
    (await letters.list(filter, 10)).letters.map(({ jobId }) => jobId).toSorted();
  expect(await idsOf({})).toEqual(both);
  expect(await idsOf({ tenant: 'acme', code: 'FILE_UNREADABLE' })).toEqual(both);
  expect(await letters.letter(file)).toMatchObject({ queue: 'upload', kind: 'upload', reason: 'pdf-encrypted' });
  expect(await letters.counts()).toEqual([{ tenant: 'acme', code: 'FILE_UNREADABLE', letters: 2 }]);
  expect(await letters.tally({})).toEqual(new Map([['FILE_UNREADABLE', 2]]));
  const running = await workers(async ({ id }) => (id === file ? UNREADABLE : { kind: 'done' }));
  expect(await letters.replay({ tenant: 'acme' })).toMatchObject({ sent: 2, stored: 1, underWay: 0 });
  await areAll('dead', [file]);
  await running.stop();
  expect(await idsOf({})).toEqual([file]);
  const removed: unknown[] = [];
  await letters.discard({ jobIds: [file] }, async (content) => void removed.push(content));
  expect(removed).toMatchObject([{ jobId: file, tenant: 'acme', kind: 'upload', intake: '0123456789abcdef' }]);
  expect(await uploads.getFailedCount()).toBe(0);
  expect(await fixture.redis.exists(keys.letterLists, keys.backlogJobs)).toBe(0);
});

test('a page of dead letters continues at the end of the last one, regardless of the queue', async () => {
  const ids: string[] = [];
  for (let n = 0; n < 3; n += 1) ids.push(...Object.values(await ended(UNREADABLE)));
  const seen: string[] = [];
  let after: Parameters<Fixture['queue']['letters']['list']>[2];
  do {
    const page = await fixture.queue.letters.list({ code: 'FILE_UNREADABLE' }, 2, after);
    seen.push(...page.letters.map(({ jobId }) => jobId));
    after = page.next;
  } while (after);
  expect(seen.toSorted()).toEqual(ids.toSorted());
});

test('the sweep adds missing uploads to the index of dead letters', async () => {
  const { file } = await ended(UNREADABLE);
  await fixture.redis.del(keys.letters('acme', 'FILE_UNREADABLE'), keys.letterLists);
  await queueTasks(fixture).repairLetters(never);
  expect(await fixture.redis.zrange(keys.letters('acme', 'FILE_UNREADABLE'), '0', '-1')).toEqual([file]);
});

test('the status has the reason why a file was not read; content in the format of a reason is left out', async () => {
  const { file } = await ended(UNREADABLE);
  expect(await fixture.redis.hget(uploads.toKey(file), 'failedReason')).toBe(`FILE_UNREADABLE ${file} pdf-encrypted`);
  expect(await fixture.queue.status(file)).toMatchObject({ code: 'FILE_UNREADABLE', reason: 'pdf-encrypted' });
  const bad = await upload();
  const worker = await fixture.worker(async () => ({ ...UNREADABLE, reason: 'My secret' }), { queueName: 'upload' });
  await areAll('dead', [bad]);
  await worker.stop();
  expect(await fixture.redis.hget(uploads.toKey(bad), 'failedReason')).toBe(`FILE_UNREADABLE ${bad}`);
  expect(await fixture.redis.get(keys.note(bad))).not.toContain('secret');
});

test('content named by an upload counts as named, and content of no job in any queue as gone', async () => {
  const file = await upload();
  expect(await namedIntake(fixture.redis, keys, [file, newJobId()])).toEqual([
    { kind: 'names', intake: '0123456789abcdef' },
    { kind: 'gone' },
  ]);
  await fixture.bull.add('index', {}, { jobId: file });
  expect(await namedIntake(fixture.redis, keys, [file])).toEqual([{ kind: 'unreadable' }]);
});

test('each queue has its own fair share process, which checks only its jobs', async () => {
  const [now] = await reserved(share('upload'));
  const file = await upload();
  await uploads.add('upload', {}, { jobId: 'ahead', priority: 500 });
  await fixture.redis.hset(keys.fairClock, { base: 0, now: 2000, high: 2000 });
  await uploads.remove(file);
  const back = newJobId();
  await uploads.add('upload', {}, { jobId: back, priority: 2, delay: 500 });
  const deps = { redis: fixture.redis, clock: new FakeClock(Date.now()), onFault: () => {} };
  const ofIndex = startFairShareLoop({ ...deps, keys: fixture.keys });
  await ofIndex.tick();
  const priorityOf = async (id: string): Promise<number> =>
    Number(await fixture.redis.hget(uploads.toKey(id), 'priority'));
  expect([now?.priority, await priorityOf(back)]).toEqual([1, 2]);
  const ofUploads = startFairShareLoop({ ...deps, keys });
  await ofUploads.tick();
  expect(await priorityOf(back)).toBeGreaterThanOrEqual(500);
  expect(await fixture.redis.exists(fixture.keys.fairLease, keys.fairLease)).toBe(2);
  await Promise.all([ofIndex.stop(), ofUploads.stop()]);
  expect(await fixture.redis.exists(fixture.keys.fairLease, keys.fairLease)).toBe(0);
});

test('counts are separate for each queue', async () => {
  await upload();
  const { index, upload: files } = await fixture.queue.counts();
  expect([index.waiting, files.waiting]).toEqual([0, 1]);
  expect(files.oldest).toBeGreaterThan(0);
});

test('each queue has its own slots, and a stop hands back the active jobs of both', async () => {
  const ids = [];
  for (let n = 0; n < 4; n += 1) ids.push(await fixture.add(), await upload());
  const hangs = (_job: unknown, signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('handed back'))));
  const running = await fixture.both({ index: hangs, upload: hangs });
  await eventually(() => running.active() === 3);
  const counts = await fixture.queue.counts();
  expect([counts.index.active, counts.upload.active]).toEqual([2, 1]);
  running.pause();
  await eventually(() => running.active() === 0);
  await areAll('queued', ids);
  running.resume();
  await eventually(() => running.active() === 3);
  expect(await running.stop()).toEqual({ handedBack: 6, isClean: true });
  expect(await running.stop()).toEqual({ handedBack: 6, isClean: true });
  await areAll('queued', ids);
});
