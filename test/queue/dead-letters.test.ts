// Dead letters: the index beside the failed set, what is told of them, pages, and the sweep that makes the index true.
import { UnrecoverableError, Worker } from 'bullmq';
import { expect, test } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { indexLetters } from '../../src/queue/dead-letters/index.ts';
import type { DeadLetter } from '../../src/queue/dead-letters/letter.ts';
import type { LetterFilter } from '../../src/queue/dead-letters/find.ts';
import type { ListPosition } from '../../src/queue/dead-letters/pages.ts';
import { eventually } from '../support/eventually.ts';
import { bury, chores, indexOf, lay, never } from './dead-letter-fixture.ts';
import { dataOf, openRoom, type Room } from './fixture.ts';

const idsOf = (letters: readonly DeadLetter[]): string[] => letters.map(({ jobId }) => jobId);

async function listed(room: Room, filter: LetterFilter = {}, limit = 100): Promise<string[]> {
  return idsOf((await room.queue.letters.list(filter, limit)).letters);
}

/** All pages of a list, which end where the next one is not named. */
async function pagesOf(room: Room, filter: LetterFilter, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  let after: ListPosition | undefined;
  do {
    const page = await room.queue.letters.list(filter, limit, after);
    pages.push(idsOf(page.letters));
    after = page.next;
  } while (after !== undefined);
  return pages;
}

test('a dead job is in the index before it is in the failed set, and is reported with its facts', async () => {
  await using room = await openRoom();
  const begun = Date.now();
  const [id = ''] = await bury(room, [{ code: 'DOCUMENT_CONFLICT', data: { revision: 1_795_461_684_317_284 } }]);
  expect(await indexOf(room)).toEqual({ 'acme:DOCUMENT_CONFLICT': [id] });
  const letter = await room.queue.letters.letter(id);
  expect(letter).toEqual({
    jobId: id,
    queue: 'index',
    tenant: 'acme',
    corpus: 'docs',
    kind: 'index',
    revision: 1_795_461_684_317_284,
    code: 'DOCUMENT_CONFLICT',
    since: expect.any(Number) as number,
    attempts: 1,
  });
  expect(letter?.since).toBeGreaterThanOrEqual(begun);
  const entered = Number(await room.redis.zscore(room.keys.letters('acme', 'DOCUMENT_CONFLICT'), id));
  expect(entered).toBeLessThanOrEqual(letter?.since ?? 0);
});

test('a job without attempts left becomes a dead letter, and the metric counts both', async () => {
  await using room = await openRoom();
  const [spent, dead] = [await room.add(), await room.add()];
  await room.redis.hset(room.bull.toKey(spent), 'atm', 7);
  const { metrics } = room;
  await room.worker(
    async ({ id }) =>
      id === spent
        ? { kind: 'retry', code: 'DEADLINE', spendsAttempt: true }
        : { kind: 'dead', code: 'CONTENT_TAMPERED' },
    { metrics },
  );
  await eventually(async () => (await room.bull.getFailedCount()) === 2);
  expect(await indexOf(room)).toEqual({ 'acme:CONTENT_TAMPERED': [dead], 'acme:DEADLINE': [spent] });
  expect(await metrics.by('sealdex_dead_letters_total', 'code')).toEqual({ DEADLINE: 1, CONTENT_TAMPERED: 1 });
});

test('a job that stalled too often becomes a dead letter without another run, and is counted', async () => {
  await using room = await openRoom();
  const id = await room.add();
  // What BullMQ writes when it gives a stalled job up; it leaves the rest to who takes the job next.
  await room.redis.hset(room.bull.toKey(id), 'defa', 'job stalled more than allowable limit');
  const { metrics } = room;
  let runs = 0;
  await room.worker(
    async () => {
      runs += 1;
      return { kind: 'done' };
    },
    { metrics },
  );
  await eventually(async () => (await room.bull.getFailedCount()) === 1);
  expect(runs).toBe(0);
  expect(await indexOf(room)).toEqual({ 'acme:STALLED_TOO_OFTEN': [id] });
  expect(await metrics.by('sealdex_dead_letters_total', 'code')).toEqual({ STALLED_TOO_OFTEN: 1 });
});

test('lists can be filtered by tenant, by code and by both', async () => {
  await using room = await openRoom();
  const [a, b, c, d] = (await bury(room, [
    { code: 'CONTENT_MISSING' },
    { code: 'CONTENT_MISSING', data: { tenant: 'globex' } },
    { code: 'TENANT_UNKNOWN' },
    { code: 'TENANT_UNKNOWN', data: { tenant: 'globex' } },
  ])) as [string, string, string, string];
  const sorted = async (filter: LetterFilter): Promise<string[]> => (await listed(room, filter)).sort();
  expect(await sorted({})).toEqual([a, b, c, d].sort());
  expect(await sorted({ tenant: 'acme' })).toEqual([a, c].sort());
  expect(await sorted({ code: 'TENANT_UNKNOWN' })).toEqual([c, d].sort());
  expect(await sorted({ tenant: 'globex', code: 'CONTENT_MISSING' })).toEqual([b]);
  expect(await listed(room, { tenant: 'nobody' })).toEqual([]);
  expect(await listed(room, { since: Date.now() + 60_000 })).toEqual([]);
  const counts = await room.queue.letters.counts();
  expect(counts).toHaveLength(4);
  expect(counts).toContainEqual({ tenant: 'globex', code: 'TENANT_UNKNOWN', letters: 1 });
  expect(await room.queue.letters.tally({ tenant: 'acme' })).toEqual(
    new Map([
      ['CONTENT_MISSING', 1],
      ['TENANT_UNKNOWN', 1],
    ]),
  );
});

test('lists are newest first; since is inclusive, and before limits the end', async () => {
  await using room = await openRoom();
  const [one, two, three] = await lay(room, [{ since: 1000 }, { since: 2000 }, { since: 3000 }]);
  await chores(room).repairLetters(never);
  for (const by of [{}, { tenant: 'acme' }, { code: 'CONTENT_MISSING' as const }]) {
    expect(await listed(room, { ...by, since: 2000 })).toEqual([three, two]);
    expect(await listed(room, { ...by, before: 2000 })).toEqual([one]);
    expect(await listed(room, { ...by, since: 2000, before: 3000 })).toEqual([two]);
    expect((await room.queue.letters.tally({ ...by, since: 2000, before: 3000 })).get('CONTENT_MISSING')).toBe(1);
  }
});

test('pages neither skip nor repeat a dead letter, though hundreds failed in one millisecond and some leave in between', async () => {
  await using room = await openRoom();
  const tenants = ['acme', 'globex', 'initech'];
  const ids = await lay(
    room,
    Array.from({ length: 450 }, (_, at) => ({ since: 1000 + Math.floor(at / 300), tenant: tenants[at % 3] ?? '' })),
  );
  await chores(room).repairLetters(never);
  for (const filter of [{}, { code: 'CONTENT_MISSING' as const }]) {
    const pages = await pagesOf(room, filter, 40);
    expect(pages.map((page) => page.length)).toEqual([...Array.from({ length: 11 }, () => 40), 10]);
    expect(new Set(pages.flat())).toEqual(new Set(ids));
    expect(pages.flat()).toEqual(await room.redis.zrange(room.bull.toKey('failed'), '0', '-1', 'REV'));
  }
  const first = await room.queue.letters.list({}, 40);
  await room.redis.zrem(room.bull.toKey('failed'), ...idsOf(first.letters));
  const second = await room.queue.letters.list({}, 450, first.next);
  expect(second.letters).toHaveLength(410);
  expect(second.next).toBeUndefined();
});

test('a worker killed between entry and move leaves no dead letter, and the next worker finishes its job', async () => {
  await using room = await openRoom();
  const id = await room.add();
  // What the dying worker has written is the entry alone.
  await room.redis.zadd(room.keys.letters('acme', 'CONTENT_MISSING'), 1000, id);
  await room.redis.sadd(room.keys.letterLists, 'acme:CONTENT_MISSING');
  expect(await listed(room, { tenant: 'acme' })).toEqual([]);
  expect(await room.queue.letters.tally({ tenant: 'acme' })).toEqual(new Map());
  await room.worker(async () => ({ kind: 'done' }));
  await eventually(async () => (await room.queue.status(id)).state === 'done');
  await chores(room).repairLetters(never);
  expect(await indexOf(room)).toEqual({});
});

test('a worker without the lock of its job adds no dead letter', async () => {
  await using room = await openRoom();
  const id = await room.add();
  const place = { redis: room.redis, keys: room.keys };
  const key = `${room.bull.toKey(id)}:lock`;
  await room.redis.set(key, 'mine');
  const list = { tenant: 'acme', code: 'CONTENT_MISSING' } as const;
  await indexLetters(place, list, [{ jobId: id, since: 1000 }], { key, token: 'of another' });
  expect(await indexOf(room)).toEqual({});
  await indexLetters(place, list, [{ jobId: id, since: 1000 }], { key, token: 'mine' });
  expect(await indexOf(room)).toEqual({ 'acme:CONTENT_MISSING': [id] });
});

test('a recent entry without a dead letter stays: its job may be about to be moved', async () => {
  await using room = await openRoom();
  const id = newJobId();
  await room.redis.zadd(room.keys.letters('acme', 'CONTENT_MISSING'), Date.now(), id);
  await room.redis.sadd(room.keys.letterLists, 'acme:CONTENT_MISSING');
  await chores(room).repairLetters(never);
  expect(await indexOf(room)).toEqual({ 'acme:CONTENT_MISSING': [id] });
});

test('a job failed by another program is found by the sweep, with a code of sealdex', async () => {
  await using room = await openRoom();
  const [ours] = await bury(room, [{}]);
  const id = await room.add({ tenant: 'globex' });
  const { host, port } = room.redis.options;
  const connection = { host, port, maxRetriesPerRequest: null };
  const plain = new Worker('index', null, { connection, prefix: room.keys.prefix });
  try {
    const job = await plain.getNextJob('token');
    await job?.moveToFailed(new UnrecoverableError('words of a document'), 'token', false);
  } finally {
    await plain.close();
  }
  const nameless = 'a job that names nobody';
  await lay(room, [{ since: 1000, jobId: nameless, data: 'no JSON', reason: 'job stalled more than allowable limit' }]);
  expect(await listed(room)).toContain(id);
  expect(await listed(room, { tenant: 'globex' })).toEqual([]);
  await chores(room).repairLetters(never);
  expect(await indexOf(room)).toEqual({
    '?:STALLED_TOO_OFTEN': [nameless],
    'acme:CONTENT_MISSING': [ours],
    'globex:INTERNAL': [id],
  });
  expect(await listed(room, { tenant: 'globex' })).toEqual([id]);
  expect(await room.queue.letters.letter(nameless)).toMatchObject({ code: 'STALLED_TOO_OFTEN', since: 1000 });
});

test('a dead letter failed again with another code is listed once, and the sweep removes the old entry', async () => {
  await using room = await openRoom();
  const [id = ''] = await lay(room, [{ since: Date.now() }]);
  await room.redis.zadd(room.keys.letters('acme', 'KEY_DESTROYED'), 1000, id);
  await room.redis.sadd(room.keys.letterLists, 'acme:KEY_DESTROYED');
  await chores(room).repairLetters(never);
  expect(await listed(room, { tenant: 'acme' })).toEqual([id]);
  expect(await indexOf(room)).toEqual({ 'acme:CONTENT_MISSING': [id] });
});

test('an id in the failed set without its job is not a dead letter, and the sweep removes it', async () => {
  await using room = await openRoom();
  await room.redis.zadd(room.bull.toKey('failed'), 1000, newJobId());
  expect(await listed(room)).toEqual([]);
  await chores(room).repairLetters(never);
  expect(await room.bull.getFailedCount()).toBe(0);
});

test('the sweep stops between two pages when aborted', async () => {
  await using room = await openRoom();
  await lay(room, [{ since: 1000 }]);
  await expect(chores(room).repairLetters(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  expect(await indexOf(room)).toEqual({});
});

test('the index holds tenant and code of a job, and nothing of its content', async () => {
  await using room = await openRoom();
  const data = { ...dataOf(), tenant: 'a tenant: words' };
  await bury(room, [{ data }]);
  expect(Object.keys(await indexOf(room))).toEqual(['?:CONTENT_MISSING']);
});
