// Replay: every dead letter once, at its rate, without loss after an interruption, and the reported outcomes.
import { expect, test } from 'vitest';
import type { Clock } from '../../src/runtime/clock.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createDeadLetters, retrier, type DeadLetters } from '../../src/queue/dead-letters/dead-letters.ts';
import { indexLetters, leaveLetter } from '../../src/queue/dead-letters/index.ts';
import {
  replayLetters,
  type Replayed,
  type ReplayDeps,
  type ReplayPlace,
} from '../../src/queue/dead-letters/replay.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { codeOf } from '../producer/fixture.ts';
import { failJobs, queueTasks, indexOf, putDeadLetters, never } from './dead-letter-fixture.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';
import { realDeadlines } from '../support/deadlines.ts';

const DAY_MS = 86_400_000;

/** A clock on which every wait ends at once, with its time passed. */
function jumpingClock(): Clock & { readonly passedMs: number } {
  let passed = 0;
  return {
    get passedMs() {
      return passed;
    },
    now: () => Date.now() + passed,
    monotonic: () => passed,
    after(ms, fn) {
      const timer = setImmediate(() => {
        passed += ms;
        fn();
      });
      return { cancel: () => clearImmediate(timer) };
    },
  };
}

const lettersOf = (
  fixture: Fixture,
  clock: Clock,
  reprioritize: ReplayPlace['reprioritize'] = async () => {},
): DeadLetters =>
  createDeadLetters({
    redis: fixture.redis,
    places: [{ redis: fixture.redis, keys: fixture.keys, reprioritize, retry: retrier(fixture.bull) }],
    clock,
    replayMaxMs: DAY_MS,
  });

const many = (count: number): { since: number }[] => Array.from({ length: count }, (_, at) => ({ since: 1000 + at }));

/** Dead letters in the failed set and in the index. */
async function laid(fixture: Fixture, count: number): Promise<string[]> {
  const ids = await putDeadLetters(fixture, many(count));
  await queueTasks(fixture).repairLetters(never);
  return ids;
}

async function waiting(fixture: Fixture): Promise<string[]> {
  const [plain, prioritized] = await Promise.all([
    fixture.redis.lrange(fixture.bull.toKey('wait'), '0', '-1'),
    fixture.redis.zrange(fixture.bull.toKey('prioritized'), '0', '-1'),
  ]);
  return [...plain, ...prioritized];
}

const NONE: Omit<Replayed, 'deadAgain'> = {
  sent: 0,
  alreadyTaken: 0,
  tooOld: 0,
  stored: 0,
  superseded: 0,
  unknown: 0,
  underWay: 0,
};
const countsOf = (change: Partial<Replayed>): Replayed => ({ ...NONE, deadAgain: new Map(), ...change });

test('a replay resets attempts, stalls and parking of a job, and gives it a new priority', async () => {
  await using fixture = await openFixture();
  const [id = ''] = await failJobs(fixture, [{}]);
  const job = fixture.bull.toKey(id);
  await fixture.redis.hset(job, { stc: 3, stallsSeen: 2, parked: 'KEY_DISABLED 1 1', ats: 9 });
  const reprioritized: (readonly string[])[] = [];
  const letters = lettersOf(fixture, jumpingClock(), async (ids) => {
    expect(await fixture.bull.getJobState(id)).toBe('failed');
    reprioritized.push(ids);
    await fixture.redis.hset(job, 'priority', 77);
  });
  expect(await letters.replay({ jobIds: [id] })).toEqual(countsOf({ sent: 1, underWay: 1 }));
  expect(reprioritized).toEqual([[id]]);
  expect(
    await fixture.redis.hmget(job, 'stc', 'stallsSeen', 'parked', 'atm', 'ats', 'failedReason', 'finishedOn'),
  ).toEqual(Array.from({ length: 7 }, () => null));
  expect(Math.floor(Number(await fixture.redis.zscore(fixture.bull.toKey('prioritized'), id)) / 2 ** 32)).toBe(77);
  expect(await indexOf(fixture)).toEqual({});
  expect(await fixture.queue.status(id)).toMatchObject({ state: 'queued' });
});

test('a replay reports the outcomes of its jobs: stored, superseded, dead again with its code', async () => {
  await using fixture = await openFixture();
  const ids = await failJobs(fixture, [{}, {}, {}, { code: 'TENANT_UNKNOWN' }]);
  const ends: Outcome[] = [
    { kind: 'done' },
    { kind: 'done', superseded: true },
    { kind: 'dead', code: 'CONTENT_TAMPERED' },
    { kind: 'done' },
  ];
  await fixture.worker(async ({ id }) => ends[ids.indexOf(id)] ?? { kind: 'pause', code: 'PLATFORM_KEY' });
  const seen: Replayed[] = [];
  const replayed = await fixture.queue.letters.replay(
    { code: 'CONTENT_MISSING' },
    { rate: 500, onProgress: (state) => seen.push(state) },
  );
  expect(replayed).toEqual(
    countsOf({ sent: 3, stored: 1, superseded: 1, deadAgain: new Map([['CONTENT_TAMPERED', 1]]) }),
  );
  expect(seen.at(-1)).toEqual(replayed);
  expect(await indexOf(fixture)).toEqual({ 'acme:CONTENT_TAMPERED': [ids[2]], 'acme:TENANT_UNKNOWN': [ids[3]] });
});

test('five parallel replays send each dead letter once, and the others report it as already taken', async () => {
  await using fixture = await openFixture();
  const ids = await laid(fixture, 120);
  const runs = new Map<string, number>();
  await fixture.worker(async ({ id }) => {
    runs.set(id, (runs.get(id) ?? 0) + 1);
    return { kind: 'done' };
  });
  const all = await Promise.all(
    Array.from({ length: 5 }, () => lettersOf(fixture, systemClock).replay({ tenant: 'acme' }, { rate: 500 })),
  );
  expect(all.reduce((sum, { sent }) => sum + sent, 0)).toBe(120);
  expect(all.reduce((sum, { stored }) => sum + stored, 0)).toBe(120);
  expect(runs).toEqual(new Map(ids.map((id) => [id, 1])));
});

test('a dead letter taken between read and move is reported as already taken', async () => {
  await using fixture = await openFixture();
  const [one = '', two = ''] = await laid(fixture, 2);
  const other = lettersOf(fixture, jumpingClock());
  const letters = lettersOf(fixture, jumpingClock(), async () => {
    await other.replay({ jobIds: [one] });
  });
  expect(await letters.replay({})).toEqual(countsOf({ sent: 1, alreadyTaken: 1, underWay: 1 }));
  expect((await waiting(fixture)).sort()).toEqual([one, two].sort());
});

test('a replay does not replay a job twice if it fails during the replay', async () => {
  await using fixture = await openFixture();
  const ids = await laid(fixture, 150);
  let runs = 0;
  await fixture.worker(async () => {
    runs += 1;
    return { kind: 'dead', code: 'CONTENT_MISSING' };
  });
  const replayed = await fixture.queue.letters.replay({ tenant: 'acme' }, { rate: 500 });
  expect(replayed).toEqual(countsOf({ sent: 150, deadAgain: new Map([['CONTENT_MISSING', 150]]) }));
  expect(runs).toBe(150);
  expect((await indexOf(fixture))['acme:CONTENT_MISSING']?.sort()).toEqual(ids.sort());
});

test.for([
  [20, 200],
  [50, 400],
  [500, 2000],
] as const)('a replay keeps a rate of %i a second within 10 %', async ([rate, count]) => {
  await using fixture = await openFixture();
  await putDeadLetters(fixture, many(count));
  const clock = jumpingClock();
  let sentAfterMs = 0;
  const onProgress = ({ sent }: Replayed): void => {
    if (sent === count && sentAfterMs === 0) sentAfterMs = clock.passedMs;
  };
  expect(await lettersOf(fixture, clock).replay({}, { rate, onProgress })).toMatchObject({ sent: count });
  const perSecond = count / (sentAfterMs / 1000);
  expect(perSecond / rate).toBeGreaterThan(0.9);
  expect(perSecond / rate).toBeLessThan(1.1);
});

test('a replay reports unfinished jobs as under way after ten seconds without progress', async () => {
  using _real = realDeadlines();
  await using fixture = await openFixture();
  await laid(fixture, 3);
  const clock = jumpingClock();
  expect(await lettersOf(fixture, clock).replay({})).toEqual(countsOf({ sent: 3, underWay: 3 }));
  expect(clock.passedMs).toBeGreaterThanOrEqual(10_000);
  expect(clock.passedMs).toBeLessThan(11_000);
});

test('an interrupted replay reports its counts, and the next one replays the rest', async () => {
  await using fixture = await openFixture();
  const ids = await laid(fixture, 100);
  const interrupt = new AbortController();
  const first = await fixture.queue.letters.replay(
    { tenant: 'acme' },
    {
      rate: 100,
      signal: interrupt.signal,
      onProgress: ({ sent }) => {
        if (sent >= 20) interrupt.abort(new Error('Ctrl-C'));
      },
    },
  );
  expect(first).toEqual(countsOf({ sent: 20, underWay: 20 }));
  expect(await fixture.bull.getFailedCount()).toBe(80);
  const second = await lettersOf(fixture, jumpingClock()).replay({ tenant: 'acme' });
  expect(second.sent).toBe(80);
  expect((await waiting(fixture)).sort()).toEqual(ids.sort());
});

test('a replay killed between any two steps loses no dead letter, and the next one sends none twice', async () => {
  await using fixture = await openFixture();
  const ids = await laid(fixture, 3);
  const depsWith = (moves: Pick<ReplayPlace, 'reprioritize' | 'retry'>): ReplayDeps => ({
    redis: fixture.redis,
    places: [{ redis: fixture.redis, keys: fixture.keys, ...moves }],
    clock: jumpingClock(),
    replayMaxMs: DAY_MS,
  });
  const dies = async (): Promise<never> => {
    throw new Error('killed');
  };
  const job = (id: string) =>
    ({ id, opts: {} }) as Parameters<ReturnType<Fixture['bull']['getBackend']>['retryFinishedJob']>[0];
  const retry: ReplayPlace['retry'] = (id) => fixture.bull.getBackend().retryFinishedJob(job(id), 'failed', {});
  await expect(replayLetters(depsWith({ retry, reprioritize: dies }), { limit: 1 })).rejects.toThrow('killed');
  const beforeMove = replayLetters(depsWith({ retry: dies, reprioritize: async () => {} }), { limit: 1 });
  await expect(beforeMove).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  expect(await fixture.bull.getFailedCount()).toBe(3);
  const afterMove = async (id: string): Promise<void> => retry(id).then(dies);
  const died = replayLetters(depsWith({ retry: afterMove, reprioritize: async () => {} }), { limit: 1 });
  await expect(died).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  expect(await fixture.bull.getFailedCount()).toBe(2);
  expect((await replayLetters(depsWith({ retry, reprioritize: async () => {} }), { tenant: 'acme' })).sent).toBe(2);
  expect((await waiting(fixture)).sort()).toEqual(ids.sort());
});

test('an entry about a newer failure outlives the replay of the older one', async () => {
  await using fixture = await openFixture();
  const place = { redis: fixture.redis, keys: fixture.keys };
  const list = { tenant: 'acme', code: 'CONTENT_MISSING' } as const;
  await indexLetters(place, list, [{ jobId: 'j', since: 2000 }]);
  expect(await leaveLetter(place, list, { jobId: 'j', since: 1000 })).toBe(false);
  expect(await indexOf(fixture)).toEqual({ 'acme:CONTENT_MISSING': ['j'] });
  expect(await leaveLetter(place, list, { jobId: 'j', since: 2000 })).toBe(true);
  expect(await indexOf(fixture)).toEqual({});
});

test('a dead letter with invalid JSON is replayed like any other', async () => {
  await using fixture = await openFixture();
  const [id] = await putDeadLetters(fixture, [{ since: 1000, data: '{"v":1,"tenant":"words of' }]);
  expect(await lettersOf(fixture, jumpingClock()).replay({})).toMatchObject({ sent: 1 });
  expect(await waiting(fixture)).toEqual([id]);
});

test('a replay stops at its limit, takes the oldest first, and of named jobs only dead letters', async () => {
  await using fixture = await openFixture();
  const [oldest, , newest] = await laid(fixture, 3);
  const queued = await fixture.add();
  const letters = lettersOf(fixture, jumpingClock());
  expect((await letters.replay({ tenant: 'acme', limit: 1 })).sent).toBe(1);
  expect(await waiting(fixture)).toEqual([oldest, queued].sort((a) => (a === queued ? -1 : 1)));
  expect((await letters.replay({ jobIds: [queued, newest ?? '', 'nobody'] })).sent).toBe(1);
  expect(await fixture.bull.getFailedCount()).toBe(1);
});

test.for([0, -1, 501, Number.NaN])('a replay rejects a rate of %d', async (rate) => {
  await using fixture = await openFixture();
  expect(await codeOf(() => fixture.queue.letters.replay({}, { rate }))).toBe('DOCUMENT_INVALID');
});

test('a job older than the replay limit stays a dead letter, and is reported', async () => {
  await using fixture = await openFixture();
  const [old = '', young = ''] = await putDeadLetters(
    fixture,
    [DAY_MS + 60_000, DAY_MS - 60_000].map((age) => ({
      since: 1000,
      data: JSON.stringify(dataOf({ revision: (Date.now() - age) * 1000 })),
    })),
  );
  const replayed = await lettersOf(fixture, jumpingClock()).replay({});
  expect(replayed).toEqual(countsOf({ sent: 1, tooOld: 1, underWay: 1 }));
  expect(await waiting(fixture)).toEqual([young]);
  expect(await fixture.queue.letters.letter(old)).toMatchObject({ jobId: old });
});

test('a replay rejects a job enqueued longer ago than parking and retention last together', async () => {
  await using fixture = await openFixture();
  const age = fixture.config.parkedMaxMs + fixture.config.letterMaxMs + 60_000;
  const [id = ''] = await putDeadLetters(fixture, [
    { since: 1000, data: JSON.stringify(dataOf({ revision: (Date.now() - age) * 1000 })) },
  ]);
  expect(await fixture.queue.letters.replay({ jobIds: [id] })).toEqual(countsOf({ tooOld: 1 }));
  expect(await waiting(fixture)).toEqual([]);
});
