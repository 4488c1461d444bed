// Dead letters: the index beside the failed set, the listed facts, pages, and the sweep that repairs the index.
import { UnrecoverableError, Worker } from 'bullmq';
import { expect, test } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { indexLetters } from '../../src/queue/dead-letters/index.ts';
import type { DeadLetter } from '../../src/queue/dead-letters/letter.ts';
import type { LetterFilter } from '../../src/queue/dead-letters/find.ts';
import type { ListPosition } from '../../src/queue/dead-letters/pages.ts';
import { eventually } from '../support/eventually.ts';
import { failJobs, queueTasks, indexOf, putDeadLetters, never } from './dead-letter-fixture.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

const idsOf = (letters: readonly DeadLetter[]): string[] => letters.map(({ jobId }) => jobId);

async function listed(fixture: Fixture, filter: LetterFilter = {}, limit = 100): Promise<string[]> {
  return idsOf((await fixture.queue.letters.list(filter, limit)).letters);
}

/** All pages of a list, up to the one without a next page. */
async function pagesOf(fixture: Fixture, filter: LetterFilter, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  let after: ListPosition | undefined;
  do {
    const page = await fixture.queue.letters.list(filter, limit, after);
    pages.push(idsOf(page.letters));
    after = page.next;
  } while (after !== undefined);
  return pages;
}

test('a dead job is in the index before it is in the failed set, and is reported with its facts', async () => {
  await using fixture = await openFixture();
  const begun = Date.now();
  const [id = ''] = await failJobs(fixture, [{ code: 'DOCUMENT_CONFLICT', data: { revision: 1_795_461_684_317_284 } }]);
  expect(await indexOf(fixture)).toEqual({ 'acme:DOCUMENT_CONFLICT': [id] });
  const letter = await fixture.queue.letters.letter(id);
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
  const entered = Number(await fixture.redis.zscore(fixture.keys.letters('acme', 'DOCUMENT_CONFLICT'), id));
  expect(entered).toBeLessThanOrEqual(letter?.since ?? 0);
});

test('a job without attempts left becomes a dead letter, and the metric counts both', async () => {
  await using fixture = await openFixture();
  const [spent, dead] = [await fixture.add(), await fixture.add()];
  await fixture.redis.hset(fixture.bull.toKey(spent), 'atm', 7);
  const { metrics } = fixture;
  await fixture.worker(
    async ({ id }) =>
      id === spent
        ? { kind: 'retry', code: 'DEADLINE', spendsAttempt: true }
        : { kind: 'dead', code: 'CONTENT_TAMPERED' },
    { metrics },
  );
  await eventually(async () => (await fixture.bull.getFailedCount()) === 2);
  expect(await indexOf(fixture)).toEqual({ 'acme:CONTENT_TAMPERED': [dead], 'acme:DEADLINE': [spent] });
  expect(await metrics.by('sealdex_dead_letters_total', 'code')).toEqual({ DEADLINE: 1, CONTENT_TAMPERED: 1 });
});

test('a job that stalled too often becomes a dead letter without another run, and is counted', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  // BullMQ's text when it fails a stalled job; the worker that takes the job does the rest.
  await fixture.redis.hset(fixture.bull.toKey(id), 'defa', 'job stalled more than allowable limit');
  const { metrics } = fixture;
  let runs = 0;
  await fixture.worker(
    async () => {
      runs += 1;
      return { kind: 'done' };
    },
    { metrics },
  );
  await eventually(async () => (await fixture.bull.getFailedCount()) === 1);
  expect(runs).toBe(0);
  expect(await indexOf(fixture)).toEqual({ 'acme:STALLED_TOO_OFTEN': [id] });
  expect(await metrics.by('sealdex_dead_letters_total', 'code')).toEqual({ STALLED_TOO_OFTEN: 1 });
});

test('lists can be filtered by tenant, by code and by both', async () => {
  await using fixture = await openFixture();
  const [a, b, c, d] = (await failJobs(fixture, [
    { code: 'CONTENT_MISSING' },
    { code: 'CONTENT_MISSING', data: { tenant: 'globex' } },
    { code: 'TENANT_UNKNOWN' },
    { code: 'TENANT_UNKNOWN', data: { tenant: 'globex' } },
  ])) as [string, string, string, string];
  const sorted = async (filter: LetterFilter): Promise<string[]> => (await listed(fixture, filter)).sort();
  expect(await sorted({})).toEqual([a, b, c, d].sort());
  expect(await sorted({ tenant: 'acme' })).toEqual([a, c].sort());
  expect(await sorted({ code: 'TENANT_UNKNOWN' })).toEqual([c, d].sort());
  expect(await sorted({ tenant: 'globex', code: 'CONTENT_MISSING' })).toEqual([b]);
  expect(await listed(fixture, { tenant: 'nobody' })).toEqual([]);
  expect(await listed(fixture, { since: Date.now() + 60_000 })).toEqual([]);
  const counts = await fixture.queue.letters.counts();
  expect(counts).toHaveLength(4);
  expect(counts).toContainEqual({ tenant: 'globex', code: 'TENANT_UNKNOWN', letters: 1 });
  expect(await fixture.queue.letters.tally({ tenant: 'acme' })).toEqual(
    new Map([
      ['CONTENT_MISSING', 1],
      ['TENANT_UNKNOWN', 1],
    ]),
  );
});

test('lists are newest first; since is inclusive, and before limits the end', async () => {
  await using fixture = await openFixture();
  const [one, two, three] = await putDeadLetters(fixture, [{ since: 1000 }, { since: 2000 }, { since: 3000 }]);
  await queueTasks(fixture).repairLetters(never);
  for (const by of [{}, { tenant: 'acme' }, { code: 'CONTENT_MISSING' as const }]) {
    expect(await listed(fixture, { ...by, since: 2000 })).toEqual([three, two]);
    expect(await listed(fixture, { ...by, before: 2000 })).toEqual([one]);
    expect(await listed(fixture, { ...by, since: 2000, before: 3000 })).toEqual([two]);
    expect((await fixture.queue.letters.tally({ ...by, since: 2000, before: 3000 })).get('CONTENT_MISSING')).toBe(1);
  }
});

test('pages neither skip nor repeat a dead letter, though hundreds failed in one millisecond and some leave in between', async () => {
  await using fixture = await openFixture();
  const tenants = ['acme', 'globex', 'initech'];
  const ids = await putDeadLetters(
    fixture,
    Array.from({ length: 450 }, (_, at) => ({ since: 1000 + Math.floor(at / 300), tenant: tenants[at % 3] ?? '' })),
  );
  await queueTasks(fixture).repairLetters(never);
  for (const filter of [{}, { code: 'CONTENT_MISSING' as const }]) {
    const pages = await pagesOf(fixture, filter, 40);
    expect(pages.map((page) => page.length)).toEqual([...Array.from({ length: 11 }, () => 40), 10]);
    expect(new Set(pages.flat())).toEqual(new Set(ids));
    expect(pages.flat()).toEqual(await fixture.redis.zrange(fixture.bull.toKey('failed'), '0', '-1', 'REV'));
  }
  const first = await fixture.queue.letters.list({}, 40);
  await fixture.redis.zrem(fixture.bull.toKey('failed'), ...idsOf(first.letters));
  const second = await fixture.queue.letters.list({}, 450, first.next);
  expect(second.letters).toHaveLength(410);
  expect(second.next).toBeUndefined();
});

test('a worker killed between entry and move leaves no dead letter, and the next worker finishes its job', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  // The dying worker has written only the entry.
  await fixture.redis.zadd(fixture.keys.letters('acme', 'CONTENT_MISSING'), 1000, id);
  await fixture.redis.sadd(fixture.keys.letterLists, 'acme:CONTENT_MISSING');
  expect(await listed(fixture, { tenant: 'acme' })).toEqual([]);
  expect(await fixture.queue.letters.tally({ tenant: 'acme' })).toEqual(new Map());
  await fixture.worker(async () => ({ kind: 'done' }));
  await eventually(async () => (await fixture.queue.status(id)).state === 'done');
  await queueTasks(fixture).repairLetters(never);
  expect(await indexOf(fixture)).toEqual({});
});

test('a worker without the lock of its job adds no dead letter', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  const place = { redis: fixture.redis, keys: fixture.keys };
  const key = `${fixture.bull.toKey(id)}:lock`;
  await fixture.redis.set(key, 'mine');
  const list = { tenant: 'acme', code: 'CONTENT_MISSING' } as const;
  await indexLetters(place, list, [{ jobId: id, since: 1000 }], { key, token: 'of another' });
  expect(await indexOf(fixture)).toEqual({});
  await indexLetters(place, list, [{ jobId: id, since: 1000 }], { key, token: 'mine' });
  expect(await indexOf(fixture)).toEqual({ 'acme:CONTENT_MISSING': [id] });
});

test('a recent entry without a dead letter stays: its job may be about to be moved', async () => {
  await using fixture = await openFixture();
  const id = newJobId();
  await fixture.redis.zadd(fixture.keys.letters('acme', 'CONTENT_MISSING'), Date.now(), id);
  await fixture.redis.sadd(fixture.keys.letterLists, 'acme:CONTENT_MISSING');
  await queueTasks(fixture).repairLetters(never);
  expect(await indexOf(fixture)).toEqual({ 'acme:CONTENT_MISSING': [id] });
});

test('a job failed by another program is found by the sweep, with a code of sealdex', async () => {
  await using fixture = await openFixture();
  const [own] = await failJobs(fixture, [{}]);
  const id = await fixture.add({ tenant: 'globex' });
  const { host, port } = fixture.redis.options;
  const connection = { host, port, maxRetriesPerRequest: null };
  const plain = new Worker('index', null, { connection, prefix: fixture.keys.prefix });
  try {
    const job = await plain.getNextJob('token');
    await job?.moveToFailed(new UnrecoverableError('words of a document'), 'token', false);
  } finally {
    await plain.close();
  }
  const nameless = 'a job that names nobody';
  await putDeadLetters(fixture, [
    { since: 1000, jobId: nameless, data: 'no JSON', reason: 'job stalled more than allowable limit' },
  ]);
  expect(await listed(fixture)).toContain(id);
  expect(await listed(fixture, { tenant: 'globex' })).toEqual([]);
  await queueTasks(fixture).repairLetters(never);
  expect(await indexOf(fixture)).toEqual({
    '?:STALLED_TOO_OFTEN': [nameless],
    'acme:CONTENT_MISSING': [own],
    'globex:INTERNAL': [id],
  });
  expect(await listed(fixture, { tenant: 'globex' })).toEqual([id]);
  expect(await fixture.queue.letters.letter(nameless)).toMatchObject({ code: 'STALLED_TOO_OFTEN', since: 1000 });
});

test('a dead letter failed again with another code is listed once, and the sweep removes the old entry', async () => {
  await using fixture = await openFixture();
  const [id = ''] = await putDeadLetters(fixture, [{ since: Date.now() }]);
  await fixture.redis.zadd(fixture.keys.letters('acme', 'KEY_DESTROYED'), 1000, id);
  await fixture.redis.sadd(fixture.keys.letterLists, 'acme:KEY_DESTROYED');
  await queueTasks(fixture).repairLetters(never);
  expect(await listed(fixture, { tenant: 'acme' })).toEqual([id]);
  expect(await indexOf(fixture)).toEqual({ 'acme:CONTENT_MISSING': [id] });
});

test('an id in the failed set without its job is not a dead letter, and the sweep removes it', async () => {
  await using fixture = await openFixture();
  await fixture.redis.zadd(fixture.bull.toKey('failed'), 1000, newJobId());
  expect(await listed(fixture)).toEqual([]);
  await queueTasks(fixture).repairLetters(never);
  expect(await fixture.bull.getFailedCount()).toBe(0);
});

test('the sweep stops between two pages when aborted', async () => {
  await using fixture = await openFixture();
  await putDeadLetters(fixture, [{ since: 1000 }]);
  await expect(queueTasks(fixture).repairLetters(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  expect(await indexOf(fixture)).toEqual({});
});

test('the index holds tenant and code of a job, and nothing of its content', async () => {
  await using fixture = await openFixture();
  const data = { ...dataOf(), tenant: 'a tenant: words' };
  await failJobs(fixture, [{ data }]);
  expect(Object.keys(await indexOf(fixture))).toEqual(['?:CONTENT_MISSING']);
});
