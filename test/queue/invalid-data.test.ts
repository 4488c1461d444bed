// Invalid data in Redis, written by hand: scripts over many jobs skip it and process the others.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { afterStall } from '../../src/queue/bull/after-stall.ts';
import { recount } from '../../src/queue/backlog/recount.ts';
import { JOBS_PER_TURN, LAST_PRIORITY } from '../../src/queue/fair-share/fair-share.ts';
import { discardLetters } from '../../src/queue/dead-letters/discard.ts';
import { namedIntake } from '../../src/queue/bull/named-intake.ts';
import { parseParked, releaseParked, promoter } from '../../src/queue/parked/parked.ts';
import { rebase } from '../../src/queue/fair-share/rebase.ts';
import {
  forgetTenants,
  reprioritize,
  reprioritizeDue,
  sweepOutliers,
} from '../../src/queue/fair-share/reprioritize.ts';
import { eventually } from '../support/eventually.ts';
import { putDeadLetters } from './dead-letter-fixture.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

const GATE = 'acme:0123456789abcdef';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

const entryOf = (id: string): string => fixture.bull.toKey(id);
const priorityOf = async (id: string): Promise<number> => Number(await fixture.redis.hget(entryOf(id), 'priority'));

/** Ids with an entry other than a hash, and hashes with an invalid priority. */
async function invalidEntries(): Promise<{ stringEntry: string; hashEntry: string }> {
  const [stringEntry, hashEntry] = [newJobId(), newJobId()];
  await fixture.redis.set(entryOf(stringEntry), 'garbage');
  await fixture.redis.hset(entryOf(hashEntry), {
    name: 'index',
    data: JSON.stringify(dataOf()),
    opts: '{}',
    priority: 'abc',
  });
  return { stringEntry, hashEntry };
}

async function delayed(priority: number): Promise<string> {
  const id = newJobId();
  await fixture.bull.add('index', dataOf(), { jobId: id, delay: 1000, priority });
  return id;
}

test('fresh priorities reach the jobs behind invalid entries', async () => {
  const { stringEntry, hashEntry } = await invalidEntries();
  const good = await delayed(700);
  await reprioritize(fixture.redis, fixture.keys, [stringEntry, hashEntry, good]);
  expect([await priorityOf(hashEntry), await priorityOf(good)]).toEqual([1, 1]);
  expect(await fixture.redis.get(entryOf(stringEntry))).toBe('garbage');
});

test('the check of due jobs skips invalid entries', async () => {
  const { stringEntry, hashEntry } = await invalidEntries();
  const good = await delayed(700);
  await fixture.redis.zadd(fixture.bull.toKey('delayed'), 1, stringEntry, 2, hashEntry);
  expect(await reprioritizeDue(fixture.redis, fixture.keys, Date.now() + 5000, 0)).toBe(3);
  expect([await priorityOf(hashEntry), await priorityOf(good)]).toEqual([1, 1]);
});

test('outliers behind invalid entries are swept down', async () => {
  const { stringEntry, hashEntry } = await invalidEntries();
  await fixture.add();
  const good = newJobId();
  await fixture.queue.add(good, dataOf(), 900_000);
  const prioritized = fixture.bull.toKey('prioritized');
  await fixture.redis.zadd(
    prioritized,
    800_000 * 2 ** 32,
    stringEntry,
    800_001 * 2 ** 32,
    hashEntry,
    '+inf',
    newJobId(),
  );
  await sweepOutliers(fixture.redis, fixture.keys);
  expect(await priorityOf(good)).toBeLessThan(10);
  expect(Number(await fixture.redis.zscore(prioritized, hashEntry))).toBeLessThan(10 * 2 ** 32);
});

test('a rebase moves the jobs behind invalid entries', async () => {
  const priority = LAST_PRIORITY - 10;
  const { stringEntry } = await invalidEntries();
  const good = newJobId();
  await fixture.queue.add(good, dataOf(), priority);
  const prioritized = fixture.bull.toKey('prioritized');
  await fixture.redis.zadd(prioritized, priority * 2 ** 32, stringEntry, '+inf', newJobId());
  await fixture.redis.hset(fixture.keys.fairClock, { base: 0, now: 0, high: priority * JOBS_PER_TURN });
  expect(await rebase(fixture.redis, fixture.keys)).toBe(false);
  expect(await priorityOf(good)).toBe(1);
});

test('a fair clock and finishes without a number count as unset', async () => {
  await fixture.add();
  await fixture.redis.hset(fixture.keys.fairClock, { base: 'abc', now: 'nan', high: 'inf' });
  await fixture.redis.hset(fixture.keys.fairTenants, { acme: 'abc', other: 'nan' });
  const id = await fixture.add();
  expect(await priorityOf(id)).toBe(1);
  await forgetTenants(fixture.redis, fixture.keys, '0');
  expect(await fixture.redis.hexists(fixture.keys.fairTenants, 'other')).toBe(0);
});

test('a recount counts the jobs beside invalid entries, and corrects invalid counters', async () => {
  const { stringEntry, hashEntry } = await invalidEntries();
  await fixture.add();
  await fixture.add();
  await fixture.redis.zadd(fixture.bull.toKey('prioritized'), 1, stringEntry, 2, hashEntry);
  await fixture.redis.hset(fixture.keys.backlogJobs, 'acme', 'abc');
  await fixture.redis.hset(fixture.keys.backlogBytes, 'acme', 'abc');
  await recount(fixture.redis, fixture.keys);
  expect(await fixture.redis.hget(fixture.keys.backlogJobs, 'acme')).toBe('2');
  expect(Number(await fixture.redis.hget(fixture.keys.backlogBytes, 'acme'))).toBeGreaterThan(2000);
});

test('a producer continues after an invalid revision and invalid counters', async () => {
  await fixture.redis.set(fixture.keys.revision, 'abc');
  await fixture.redis.hset(fixture.keys.backlogJobs, 'acme', 'abc');
  await fixture.redis.hset(fixture.keys.backlogBytes, 'acme', 'abc');
  await fixture.add();
  expect(await fixture.redis.hget(fixture.keys.backlogJobs, 'acme')).toBe('1');
  expect(Number(await fixture.redis.get(fixture.keys.revision))).toBeGreaterThan(1e15);
});

test('a release continues after an invalid entry, and removes it', async () => {
  const { stringEntry, hashEntry } = await invalidEntries();
  const good = await delayed(1);
  const index = fixture.keys.parked(GATE);
  await fixture.redis.zadd(fixture.bull.toKey('delayed'), 1, stringEntry, 2, hashEntry);
  await fixture.redis.zadd(index, 1, stringEntry, 2, hashEntry, 3, good);
  const deps = {
    redis: fixture.redis,
    keys: fixture.keys,
    queueKey: fixture.bull.toKey(''),
    promote: promoter(fixture.bull),
    reprioritize: (ids: readonly string[]) => reprioritize(fixture.redis, fixture.keys, ids),
  };
  expect(await releaseParked(deps, GATE, async () => true)).toBe(true);
  expect(await fixture.redis.zcard(index)).toBe(0);
  expect(await fixture.redis.zrange(fixture.bull.toKey('prioritized'), '0', '-1')).toEqual([hashEntry, good]);
});

test.for([
  'KEY_DISABLED x 1 g',
  'KEY_DISABLED 1 NaN g',
  'KEY_DISABLED 1e400 1 g',
  'KEY_DISABLED 0 1 g',
  'KEY_DISABLED',
])('an invalid parking note is ignored: %s', (stringEntry) => {
  expect(parseParked(stringEntry)).toBeUndefined();
});

test('a job with an invalid parking note is parked as if for the first time', async () => {
  const id = await fixture.add();
  await fixture.redis.hset(entryOf(id), 'parked', `KEY_DISABLED ${'9'.repeat(400)} 1 ${GATE}`);
  const before = Date.now();
  await fixture.worker(async () => ({ kind: 'park', code: 'KEY_DISABLED', gate: GATE }), {
    parking: { isOpen: () => false, refresh: async () => {} },
  });
  await eventually(async () => (await fixture.bull.getJobState(id)) === 'delayed');
  const note = await eventually(async () => parseParked(await fixture.redis.hget(entryOf(id), 'parked')));
  expect(note?.count).toBe(1);
  expect(Number(await fixture.redis.zscore(fixture.keys.parked(GATE), id))).toBeGreaterThanOrEqual(before);
});

test('an invalid count of stalls is ignored', async () => {
  const id = await fixture.add();
  await fixture.redis.hset(entryOf(id), { stc: '1', stallsSeen: 'abc' });
  const waits = (): ReturnType<typeof afterStall> => afterStall(fixture.redis, entryOf(id), 1, () => 0);
  expect(await waits()).toMatchObject({ kind: 'defer', code: 'STALLED', afterMs: 1000 });
  expect(await waits()).toBeUndefined();
});

test('dead letters behind invalid entries are listed, replayed and discarded', async () => {
  const now = systemClock.now();
  const [stringEntry = '', good = '', hashEntry = ''] = await putDeadLetters(fixture, [
    { since: now - 3 },
    { since: now - 2 },
    { since: now - 1 },
  ]);
  await fixture.redis.unlink(entryOf(stringEntry));
  await fixture.redis.set(entryOf(stringEntry), 'garbage');
  await fixture.redis.hset(entryOf(hashEntry), { atm: 'abc', priority: 'abc' });
  const { letters } = await fixture.queue.letters.list({}, 10);
  expect(letters.map(({ jobId, attempts }) => [jobId, attempts])).toEqual([
    [hashEntry, 0],
    [good, 1],
    [stringEntry, 0],
  ]);
  const enough = new AbortController();
  const done = await fixture.queue.letters.replay(
    { jobIds: [stringEntry, good] },
    { signal: enough.signal, onProgress: () => enough.abort() },
  );
  expect(done).toMatchObject({ sent: 1, alreadyTaken: 1 });
  const { redis, keys } = fixture;
  const deps = { places: [{ redis, keys }], clock: systemClock, removeContent: async () => {} };
  expect(await discardLetters(deps, {})).toMatchObject({ discarded: 2, alreadyTaken: 0 });
  expect(await fixture.redis.exists(entryOf(stringEntry), entryOf(hashEntry))).toBe(0);
});

test('a discard that fails half way in Redis leaves the dead letter', async () => {
  const [id = ''] = await putDeadLetters(fixture, [{ since: systemClock.now() - 1 }]);
  const { redis, keys } = fixture;
  await redis.set(keys.letters('acme', 'CONTENT_MISSING'), 'garbage');
  const deps = { places: [{ redis, keys }], clock: systemClock, removeContent: async () => {} };
  await expect(discardLetters(deps, {})).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  expect(await fixture.queue.letters.letter(id)).toMatchObject({ jobId: id });
});

test('an entry of a newer version is reported as unreadable, since it may name content in another way', async () => {
  const id = newJobId();
  await fixture.redis.hset(entryOf(id), 'data', JSON.stringify({ v: 2, content: { parts: ['0123456789abcdef'] } }));
  expect(await namedIntake(fixture.redis, fixture.keys, [id])).toEqual([{ kind: 'unreadable' }]);
});

test('a malformed entry is reported as unreadable, and the next one is still reported', async () => {
  const { stringEntry } = await invalidEntries();
  expect(await namedIntake(fixture.redis, fixture.keys, [stringEntry, newJobId()])).toEqual([
    { kind: 'unreadable' },
    { kind: 'gone' },
  ]);
});
