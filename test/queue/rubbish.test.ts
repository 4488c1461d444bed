// Rubbish in Redis, written by hand: what walks over many jobs passes it over and does its work on the others.
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
import { lay } from './dead-letter-fixture.ts';
import { dataOf, openRoom, type Room } from './fixture.ts';

const GATE = 'acme:0123456789abcdef';

let room: Room;

beforeEach(async () => {
  room = await openRoom();
});
afterEach(() => room[Symbol.asyncDispose]());

const entryOf = (id: string): string => room.bull.toKey(id);
const priorityOf = async (id: string): Promise<number> => Number(await room.redis.hget(entryOf(id), 'priority'));

/** Ids whose entries are no hash, and hashes with a priority that is no number. */
async function rubbish(): Promise<{ text: string; word: string }> {
  const [text, word] = [newJobId(), newJobId()];
  await room.redis.set(entryOf(text), 'rubbish');
  await room.redis.hset(entryOf(word), { name: 'index', data: JSON.stringify(dataOf()), opts: '{}', priority: 'abc' });
  return { text, word };
}

async function delayed(priority: number): Promise<string> {
  const id = newJobId();
  await room.bull.add('index', dataOf(), { jobId: id, delay: 1000, priority });
  return id;
}

test('fresh priorities reach the jobs behind invalid entries', async () => {
  const { text, word } = await rubbish();
  const good = await delayed(700);
  await reprioritize(room.redis, room.keys, [text, word, good]);
  expect([await priorityOf(word), await priorityOf(good)]).toEqual([1, 1]);
  expect(await room.redis.get(entryOf(text))).toBe('rubbish');
});

test('the check of due jobs skips invalid entries', async () => {
  const { text, word } = await rubbish();
  const good = await delayed(700);
  await room.redis.zadd(room.bull.toKey('delayed'), 1, text, 2, word);
  expect(await reprioritizeDue(room.redis, room.keys, Date.now() + 5000, 0)).toBe(3);
  expect([await priorityOf(word), await priorityOf(good)]).toEqual([1, 1]);
});

test('outliers behind invalid entries are swept down', async () => {
  const { text, word } = await rubbish();
  await room.add();
  const good = newJobId();
  await room.queue.add(good, dataOf(), 900_000);
  const prioritized = room.bull.toKey('prioritized');
  await room.redis.zadd(prioritized, 800_000 * 2 ** 32, text, 800_001 * 2 ** 32, word, '+inf', newJobId());
  await sweepOutliers(room.redis, room.keys);
  expect(await priorityOf(good)).toBeLessThan(10);
  expect(Number(await room.redis.zscore(prioritized, word))).toBeLessThan(10 * 2 ** 32);
});

test('a rebase moves the jobs behind invalid entries', async () => {
  const priority = LAST_PRIORITY - 10;
  const { text } = await rubbish();
  const good = newJobId();
  await room.queue.add(good, dataOf(), priority);
  const prioritized = room.bull.toKey('prioritized');
  await room.redis.zadd(prioritized, priority * 2 ** 32, text, '+inf', newJobId());
  await room.redis.hset(room.keys.fairClock, { base: 0, now: 0, high: priority * JOBS_PER_TURN });
  expect(await rebase(room.redis, room.keys)).toBe(false);
  expect(await priorityOf(good)).toBe(1);
});

test('a fair clock and finishes without a number count as unset', async () => {
  await room.add();
  await room.redis.hset(room.keys.fairClock, { base: 'abc', now: 'nan', high: 'inf' });
  await room.redis.hset(room.keys.fairTenants, { acme: 'abc', other: 'nan' });
  const id = await room.add();
  expect(await priorityOf(id)).toBe(1);
  await forgetTenants(room.redis, room.keys, '0');
  expect(await room.redis.hexists(room.keys.fairTenants, 'other')).toBe(0);
});

test('a recount counts the jobs beside invalid entries, and corrects invalid counters', async () => {
  const { text, word } = await rubbish();
  await room.add();
  await room.add();
  await room.redis.zadd(room.bull.toKey('prioritized'), 1, text, 2, word);
  await room.redis.hset(room.keys.backlogJobs, 'acme', 'abc');
  await room.redis.hset(room.keys.backlogBytes, 'acme', 'abc');
  await recount(room.redis, room.keys);
  expect(await room.redis.hget(room.keys.backlogJobs, 'acme')).toBe('2');
  expect(Number(await room.redis.hget(room.keys.backlogBytes, 'acme'))).toBeGreaterThan(2000);
});

test('a producer continues after an invalid revision and invalid counters', async () => {
  await room.redis.set(room.keys.revision, 'abc');
  await room.redis.hset(room.keys.backlogJobs, 'acme', 'abc');
  await room.redis.hset(room.keys.backlogBytes, 'acme', 'abc');
  await room.add();
  expect(await room.redis.hget(room.keys.backlogJobs, 'acme')).toBe('1');
  expect(Number(await room.redis.get(room.keys.revision))).toBeGreaterThan(1e15);
});

test('a release continues after an invalid entry, and removes it', async () => {
  const { text, word } = await rubbish();
  const good = await delayed(1);
  const index = room.keys.parked(GATE);
  await room.redis.zadd(room.bull.toKey('delayed'), 1, text, 2, word);
  await room.redis.zadd(index, 1, text, 2, word, 3, good);
  const deps = {
    redis: room.redis,
    keys: room.keys,
    queueKey: room.bull.toKey(''),
    promote: promoter(room.bull),
    reprioritize: (ids: readonly string[]) => reprioritize(room.redis, room.keys, ids),
  };
  expect(await releaseParked(deps, GATE, async () => true)).toBe(true);
  expect(await room.redis.zcard(index)).toBe(0);
  expect(await room.redis.zrange(room.bull.toKey('prioritized'), '0', '-1')).toEqual([word, good]);
});

test.for([
  'KEY_DISABLED x 1 g',
  'KEY_DISABLED 1 NaN g',
  'KEY_DISABLED 1e400 1 g',
  'KEY_DISABLED 0 1 g',
  'KEY_DISABLED',
])('an invalid parking note is ignored: %s', (text) => {
  expect(parseParked(text)).toBeUndefined();
});

test('a job with an invalid parking note is parked as if for the first time', async () => {
  const id = await room.add();
  await room.redis.hset(entryOf(id), 'parked', `KEY_DISABLED ${'9'.repeat(400)} 1 ${GATE}`);
  const before = Date.now();
  await room.worker(async () => ({ kind: 'park', code: 'KEY_DISABLED', gate: GATE }), {
    parking: { isOpen: () => false, refresh: async () => {} },
  });
  await eventually(async () => (await room.bull.getJobState(id)) === 'delayed');
  const note = await eventually(async () => parseParked(await room.redis.hget(entryOf(id), 'parked')));
  expect(note?.count).toBe(1);
  expect(Number(await room.redis.zscore(room.keys.parked(GATE), id))).toBeGreaterThanOrEqual(before);
});

test('an invalid count of stalls is ignored', async () => {
  const id = await room.add();
  await room.redis.hset(entryOf(id), { stc: '1', stallsSeen: 'abc' });
  const waits = (): ReturnType<typeof afterStall> => afterStall(room.redis, entryOf(id), 1, () => 0);
  expect(await waits()).toMatchObject({ kind: 'defer', code: 'STALLED', afterMs: 1000 });
  expect(await waits()).toBeUndefined();
});

test('dead letters behind invalid entries are listed, replayed and discarded', async () => {
  const now = systemClock.now();
  const [text = '', good = '', word = ''] = await lay(room, [
    { since: now - 3 },
    { since: now - 2 },
    { since: now - 1 },
  ]);
  await room.redis.unlink(entryOf(text));
  await room.redis.set(entryOf(text), 'rubbish');
  await room.redis.hset(entryOf(word), { atm: 'abc', priority: 'abc' });
  const { letters } = await room.queue.letters.list({}, 10);
  expect(letters.map(({ jobId, attempts }) => [jobId, attempts])).toEqual([
    [word, 0],
    [good, 1],
    [text, 0],
  ]);
  const enough = new AbortController();
  const done = await room.queue.letters.replay(
    { jobIds: [text, good] },
    { signal: enough.signal, onProgress: () => enough.abort() },
  );
  expect(done).toMatchObject({ sent: 1, alreadyTaken: 1 });
  const { redis, keys } = room;
  const deps = { places: [{ redis, keys }], clock: systemClock, removeContent: async () => {} };
  expect(await discardLetters(deps, {})).toMatchObject({ discarded: 2, alreadyTaken: 0 });
  expect(await room.redis.exists(entryOf(text), entryOf(word))).toBe(0);
});

test('a discard that fails half way in Redis leaves the dead letter', async () => {
  const [id = ''] = await lay(room, [{ since: systemClock.now() - 1 }]);
  const { redis, keys } = room;
  await redis.set(keys.letters('acme', 'CONTENT_MISSING'), 'rubbish');
  const deps = { places: [{ redis, keys }], clock: systemClock, removeContent: async () => {} };
  await expect(discardLetters(deps, {})).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  expect(await room.queue.letters.letter(id)).toMatchObject({ jobId: id });
});

test('a malformed entry is reported as unreadable, and the next one is still reported', async () => {
  const { text } = await rubbish();
  expect(await namedIntake(room.redis, room.keys, [text, newJobId()])).toEqual([
    { kind: 'unreadable' },
    { kind: 'gone' },
  ]);
});
