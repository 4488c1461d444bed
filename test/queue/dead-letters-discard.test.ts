// Discarding: the removed and the remaining data, parallel replays, and expired dead letters.
import { expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { createDeadLetters, retrier } from '../../src/queue/dead-letters/dead-letters.ts';
import { intakeName, intakePlaceOf, type IntakePlace } from '../../src/runtime/intake-key.ts';
import { failJobs, queueTasks, indexOf, putDeadLetters, never } from './dead-letter-fixture.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

const INTAKE = '0123456789abcdef';
const noContent = async (): Promise<void> => {};
const DAY_MS = 86_400_000;

async function remaining(fixture: Fixture): Promise<string[]> {
  return fixture.redis.zrange(fixture.bull.toKey('failed'), '0', '-1');
}

test('a discarded dead letter leaves queue, index and Redis, then its content is deleted; others stay', async () => {
  await using fixture = await openFixture();
  const [gone = '', kept] = await failJobs(fixture, [
    { data: { content: { intake: INTAKE } } },
    { code: 'TENANT_UNKNOWN', data: { content: { intake: INTAKE } } },
  ]);
  await fixture.redis.rpush(`${fixture.bull.toKey(gone)}:logs`, 'a line');
  const removed: IntakePlace[] = [];
  const discarded = await fixture.queue.letters.discard({ code: 'CONTENT_MISSING' }, async (content) => {
    expect(await fixture.redis.exists(fixture.bull.toKey(gone))).toBe(0);
    removed.push(content);
  });
  expect(discarded).toEqual({ discarded: 1, alreadyTaken: 0, contentLeft: 0 });
  const place = { tenant: 'acme', jobId: gone, queue: fixture.keys.installation, intake: INTAKE };
  expect(removed).toMatchObject([place]);
  expect(removed.map((each) => intakePlaceOf(intakeName(each)))).toEqual(removed);
  expect(await fixture.redis.zcard(fixture.keys.intakeRemovals)).toBe(0);
  expect(await fixture.redis.keys(`${fixture.bull.toKey(gone)}*`)).toEqual([]);
  expect(await remaining(fixture)).toEqual([kept]);
  expect(await indexOf(fixture)).toEqual({ 'acme:TENANT_UNKNOWN': [kept] });
});

test('a discarded dead letter takes the mean of the bytes off the backlog, the last one all', async () => {
  await using fixture = await openFixture();
  const { redis, keys } = fixture;
  const backlog = async (): Promise<(string | null)[]> => [
    await redis.hget(keys.backlogJobs, 'acme'),
    await redis.hget(keys.backlogBytes, 'acme'),
  ];
  const ids = await putDeadLetters(fixture, [{ since: 1 }, { since: 2 }, { since: 3 }, { since: 4, tenant: 'globex' }]);
  await redis.hset(keys.backlogJobs, 'acme', 2);
  await redis.hset(keys.backlogBytes, 'acme', 2_000_000_000_000_001);
  await redis.hset(fixture.bull.toKey(ids[0] ?? ''), 'uncounted', 1);
  const seen: (string | null)[][] = [];
  for (const jobId of ids) {
    await fixture.queue.letters.discard({ jobIds: [jobId] }, noContent);
    seen.push(await backlog());
  }
  const half = ['1', '1000000000000001'];
  expect(seen).toEqual([['2', '2000000000000001'], half, [null, null], [null, null]]);
});

test('a failed deletion of content is reported, and becomes a pending removal', async () => {
  await using fixture = await openFixture();
  await failJobs(fixture, [{ data: { content: { intake: INTAKE } } }, {}]);
  const discarded = await fixture.queue.letters.discard({}, async () => {
    throw new Error('S3 is away');
  });
  expect(discarded).toEqual({ discarded: 2, alreadyTaken: 0, contentLeft: 1 });
  expect(await remaining(fixture)).toEqual([]);
  expect(await fixture.redis.zrange(fixture.keys.intakeRemovals, '0', '-1')).toEqual([
    expect.stringMatching(new RegExp(`/${INTAKE}$`)),
  ]);
});

test('no content is deleted for a job without an id or a valid tenant', async () => {
  await using fixture = await openFixture();
  const data = (change: object): string => JSON.stringify({ ...dataOf(), content: { intake: INTAKE }, ...change });
  await putDeadLetters(fixture, [
    { since: 1, jobId: '../other', data: data({}) },
    { since: 2, data: data({ tenant: '../other' }) },
    { since: 3, data: data({ content: { intake: '../../x' } }) },
    { since: 4, data: data({ content: { intake: 'abc' } }) },
  ]);
  const removed: IntakePlace[] = [];
  const discarded = await fixture.queue.letters.discard({}, async (content) => void removed.push(content));
  expect(discarded.discarded).toBe(4);
  expect(removed).toEqual([]);
});

test('a dead letter replayed or failed again since it was read is not discarded', async () => {
  await using fixture = await openFixture();
  // The first batch is of 50; while its content is removed, two dead letters of the second one change.
  const ids = await putDeadLetters(
    fixture,
    Array.from({ length: 52 }, (_, at) => ({
      since: 1000 + at,
      data: JSON.stringify(dataOf(at === 0 ? { content: { intake: INTAKE } } : {})),
    })),
  );
  const [replayed = '', diedAgain = ''] = ids.slice(50);
  const discarded = await fixture.queue.letters.discard({}, async () => {
    await (await fixture.bull.getJob(replayed))?.retry('failed');
    await fixture.redis.zadd(fixture.bull.toKey('failed'), 5000, diedAgain);
  });
  expect(discarded).toEqual({ discarded: 50, alreadyTaken: 2, contentLeft: 0 });
  expect(await remaining(fixture)).toEqual([diedAgain]);
  expect(await fixture.bull.getJobState(replayed)).toBe('prioritized');
  expect(await fixture.redis.exists(fixture.bull.toKey(replayed))).toBe(1);
});

test('a dead letter discarded during its replay stays deleted', async () => {
  await using fixture = await openFixture();
  const [id = ''] = await failJobs(fixture, [{}]);
  const { redis, keys } = fixture;
  const letters = createDeadLetters({
    redis,
    places: [
      {
        redis,
        keys,
        reprioritize: async () => void (await fixture.queue.letters.discard({}, noContent)),
        retry: retrier(fixture.bull),
      },
    ],
    clock: systemClock,
    replayMaxMs: 86_400_000,
  });
  expect(await letters.replay({})).toMatchObject({ sent: 0, alreadyTaken: 1 });
  expect(await redis.keys(`${fixture.bull.toKey(id)}*`)).toEqual([]);
  expect(await fixture.bull.getWaitingCount()).toBe(0);
});

test('a parallel replay and discard handle each dead letter once, and replayed ones are done', async () => {
  await using fixture = await openFixture();
  const ids = await putDeadLetters(
    fixture,
    Array.from({ length: 300 }, (_, at) => ({ since: 1000 + at })),
  );
  const done: string[] = [];
  await fixture.worker(async ({ id }) => {
    done.push(id);
    return { kind: 'done' };
  });
  const [replayed, discarded] = await Promise.all([
    fixture.queue.letters.replay({}, { rate: 500 }),
    fixture.queue.letters.discard({}, noContent),
  ]);
  expect(replayed.sent + discarded.discarded).toBe(ids.length);
  expect(replayed.stored).toBe(replayed.sent);
  expect(new Set(done).size).toBe(replayed.sent);
});

test('an interrupted discard reports its counts', async () => {
  await using fixture = await openFixture();
  await putDeadLetters(
    fixture,
    Array.from({ length: 120 }, (_, at) => ({ since: 1000 + at })),
  );
  const interrupt = new AbortController();
  const discarded = await fixture.queue.letters.discard({}, noContent, {
    signal: interrupt.signal,
    onProgress: () => interrupt.abort(new Error('Ctrl-C')),
  });
  expect(discarded.discarded).toBe(50);
  expect(await remaining(fixture)).toHaveLength(70);
});

test('dead letters older than SEALDEX_LETTER_MAX_MS are discarded with their content and counted, younger ones are kept', async () => {
  await using fixture = await openFixture({ SEALDEX_LETTER_MAX_MS: 10 * DAY_MS });
  const content = JSON.stringify(dataOf({ content: { intake: INTAKE } }));
  const old = newJobId();
  const [, young] = await putDeadLetters(fixture, [
    { since: Date.now() - 10 * DAY_MS - 60_000, jobId: old, data: content },
    { since: Date.now() - 10 * DAY_MS + 60_000 },
    { since: Date.now() - 20 * DAY_MS, tenant: 'globex' },
  ]);
  const removed: string[] = [];
  const { repairLetters, discardOld } = queueTasks(fixture, async ({ jobId }) => void removed.push(jobId));
  await repairLetters(never);
  await discardOld(never);
  expect(await remaining(fixture)).toEqual([young]);
  expect(await indexOf(fixture)).toEqual({ 'acme:CONTENT_MISSING': [young] });
  expect(removed).toEqual([old]);
  expect(await fixture.metrics.text()).toContain('sealdex_dead_letters_expired_total 2');
});
