// Problems that must not fail a job: throwing handlers, lost locks, notes and moves rejected by Redis.
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startRedis } from '@sealdex/local-aws';
import { newJobId } from '../../src/jobs/jobs.ts';
import { openRedis } from '../../src/runtime/redis.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { eventually } from '../support/eventually.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

const DONE: Outcome = { kind: 'done' };

const OUTCOMES: Outcome[] = [
  DONE,
  { kind: 'done', superseded: true },
  { kind: 'park', code: 'KEY_DISABLED', gate: 'acme:0' },
  { kind: 'pause', code: 'PLATFORM_KEY' },
  { kind: 'retry', code: 'STORE_FAILED', spendsAttempt: false },
  { kind: 'retry', code: 'INTERNAL', spendsAttempt: true },
  { kind: 'dead', code: 'JOB_INVALID' },
];

/** All data of the queue in Redis, as one text. */
async function everything(fixture: Fixture): Promise<string> {
  const texts = await Promise.all(
    (await fixture.redis.keys(`${fixture.keys.prefix}*`)).map(async (key) => {
      const type = await fixture.redis.type(key);
      if (type === 'hash') return JSON.stringify(await fixture.redis.hgetall(key));
      if (type === 'stream') return JSON.stringify(await fixture.redis.xrange(key, '-', '+'));
      return type === 'string' ? await fixture.redis.get(key) : key;
    }),
  );
  return texts.join('\n');
}

test('a handler that throws costs an attempt, and nothing of its error is stored', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  await fixture.worker(() => Promise.reject(new TypeError('words of a document')));
  const job = await eventually(async () => {
    const found = await fixture.bull.getJob(id);
    return found && found.attemptsMade > 0 ? found : undefined;
  });
  expect(job.failedReason).toBe(`INTERNAL ${id}`);
  expect(await everything(fixture)).not.toContain('words of');
  expect(JSON.stringify(fixture.log)).not.toContain('words of');
});

test('an error from outside settling fails no job: it stays to be taken again', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  const worker = await fixture.worker(async () => DONE, {
    onOutcome() {
      throw new Error('words of a document');
    },
  });
  await eventually(() => fixture.log.some(({ message }) => message === 'queue error'));
  await eventually(() => worker.active() === 0);
  expect(await fixture.queue.status(id)).toEqual({ state: 'active' });
  expect(await fixture.redis.hmget(fixture.bull.toKey(id), 'atm', 'failedReason')).toEqual([null, null]);
  expect(await everything(fixture)).not.toContain('words of');
  expect(JSON.stringify(fixture.log)).not.toContain('words of');
});

test.for(OUTCOMES.flatMap((outcome) => [[outcome, 'gone'] as const, [outcome, "another worker's"] as const]))(
  'an outcome after the loss of the lock changes nothing: %j, lock %s',
  async ([outcome, lock]) => {
    await using fixture = await openFixture();
    const [id, next] = [await fixture.add(), await fixture.add()];
    const entry = fixture.bull.toKey(id);
    const completed: string[] = [];
    const worker = await fixture.worker(
      async (job) => {
        if (job.id === next) return DONE;
        if (lock === 'gone') await fixture.redis.del(`${entry}:lock`);
        else await fixture.redis.set(`${entry}:lock`, 'token of another');
        return outcome;
      },
      { onCompleted: async (jobId) => void completed.push(jobId) },
    );
    await eventually(() => completed.includes(next) && worker.active() === 0);
    expect(completed).toEqual([next]);
    expect(await fixture.queue.status(id)).toEqual({ state: 'active' });
    expect(await fixture.redis.exists(fixture.keys.note(id))).toBe(0);
    expect(await fixture.redis.hmget(entry, 'atm', 'failedReason')).toEqual([null, null]);
  },
);

test('a job removed during its run affects no other', async () => {
  await using fixture = await openFixture();
  const [id, next] = [await fixture.add(), await fixture.add()];
  const completed: string[] = [];
  await fixture.worker(
    async (job) => {
      if (job.id === id) await fixture.redis.del(fixture.bull.toKey(id), `${fixture.bull.toKey(id)}:lock`);
      return DONE;
    },
    { onCompleted: async (jobId) => void completed.push(jobId) },
  );
  expect(await eventually(() => completed.includes(next))).toBe(true);
  expect(completed).toEqual([next]);
});

/** Parking begins with an entry in the index: without it the job stays in place and returns as a stalled one. */
const NOTED = OUTCOMES.filter(({ kind }) => kind !== 'park');

test.for(NOTED)('a failed write of a status note does not stop the move: %j', async (outcome) => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  const broken = await openRedis(fixture.config, 'prompt');
  broken.disconnect();
  const [before] = await fixture.bull.getJobs(['prioritized']);
  expect(before?.id).toBe(id);
  await fixture.worker(async () => outcome, { redis: broken });
  const state = await eventually(async () => {
    const now = await fixture.bull.getJobState(id);
    return ['delayed', 'failed', 'unknown'].includes(now) ? now : undefined;
  });
  expect(state).toBe(outcome.kind === 'done' ? 'unknown' : outcome.kind === 'dead' ? 'failed' : 'delayed');
});

const PARK = { kind: 'park', code: 'KEY_DISABLED', gate: 'acme:0' } as const satisfies Outcome;

test('a park that fails before the move leaves the job active until its lock expires', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  const broken = await openRedis(fixture.config, 'prompt');
  broken.disconnect();
  const worker = await fixture.worker(async () => PARK, { redis: broken });
  await eventually(() => fixture.log.some(({ message }) => message === 'queue error'));
  await eventually(() => worker.active() === 0);
  expect(await fixture.queue.status(id)).toEqual({ state: 'active' });
  expect(await fixture.redis.hmget(fixture.bull.toKey(id), 'atm', 'failedReason')).toEqual([null, null]);
  expect(await fixture.redis.exists(fixture.keys.parked(PARK.gate))).toBe(0);
});

test('a park that fails after the move leaves the job delayed, and in the index of its gate', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  const redis = await openRedis(fixture.config, 'patient');
  Object.assign(redis, { sealdex_park_end: () => Promise.reject(new Error('gone')) });
  const worker = await fixture.worker(async () => PARK, { redis });
  await eventually(() => fixture.log.some(({ message }) => message === 'queue error'));
  await eventually(() => worker.active() === 0);
  expect(await fixture.bull.getJobState(id)).toBe('delayed');
  expect(await fixture.redis.zrange(fixture.keys.parked(PARK.gate), '0', '-1')).toEqual([id]);
  expect(await fixture.redis.hmget(fixture.bull.toKey(id), 'atm', 'failedReason')).toEqual([null, null]);
  // The worker would take the released job and park it again.
  await worker.stop();
  expect(await fixture.queue.release(PARK.gate, async () => true)).toBe(true);
  expect(await fixture.bull.getJobState(id)).toBe('prioritized');
  redis.disconnect();
});

test('an error in the removal of content is logged, and the job is done anyway', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  await fixture.worker(async () => DONE, { onCompleted: () => Promise.reject(new Error('no such bucket of acme')) });
  await eventually(() =>
    fixture.log.some(({ message }) => message.startsWith('failed to delete content of a finished job')),
  );
  expect(await fixture.queue.status(id)).toMatchObject({ state: 'done' });
  expect(JSON.stringify(fixture.log)).not.toContain('acme');
});

test('hanging removals are bounded, and do not delay a stop', async () => {
  await using fixture = await openFixture({ SEALDEX_DRAIN_MS: 100, SEALDEX_STOP_MS: 20_000 });
  await fixture.bull.addBulk(
    Array.from({ length: 1100 }, () => ({ name: 'index', data: dataOf(), opts: { jobId: newJobId() } })),
  );
  let begun = 0;
  const worker = await fixture.worker(async () => DONE, {
    onCompleted() {
      begun += 1;
      return new Promise(() => {});
    },
  });
  await eventually(async () => (await fixture.queue.counts()).index.waiting === 0 && worker.active() === 0);
  expect(begun).toBe(1000);
  expect(await worker.stop()).toEqual({ handedBack: 0, isClean: true });
});

test('stop() does not wait for a handler that ignores its signal, and reports it', async () => {
  await using fixture = await openFixture({ SEALDEX_DRAIN_MS: 50, SEALDEX_STOP_MS: 500 });
  const id = await fixture.add();
  const never = Promise.withResolvers<Outcome>();
  const worker = await fixture.worker(() => never.promise);
  await eventually(() => worker.active() === 1);
  const stops = await Promise.all([worker.stop(), worker.stop()]);
  expect(stops).toEqual([
    { handedBack: 0, isClean: false },
    { handedBack: 0, isClean: false },
  ]);
  // Another worker has it when the lock has expired, or it is done if the handler ends before that.
  expect(await fixture.queue.status(id)).toEqual({ state: 'active' });
  never.resolve(DONE);
});

test('a failed hand-back leaves the job as it is, and the stop is clean', async () => {
  await using fixture = await openFixture({ SEALDEX_DRAIN_MS: 50, SEALDEX_STOP_MS: 10_000 });
  const [id, other] = [await fixture.add(), await fixture.add()];
  const worker = await fixture.worker(
    (_job, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stop')))),
  );
  await eventually(() => worker.active() === 2);
  await fixture.redis.set(`${fixture.bull.toKey(id)}:lock`, 'token of another');
  expect(await worker.stop()).toEqual({ handedBack: 1, isClean: true });
  expect(await fixture.queue.status(id)).toEqual({ state: 'active' });
  expect(await fixture.queue.status(other)).toEqual({ state: 'queued' });
  expect(await fixture.redis.hmget(fixture.bull.toKey(id), 'atm', 'failedReason')).toEqual([null, null]);
});

test('a full Redis is polled a few times a second, and the job is done when it has memory', async () => {
  const server = await startRedis();
  const redis = new Redis(server.url);
  try {
    await using fixture = await openFixture({ REDIS_URL: server.url });
    const id = await fixture.add();
    await redis.config('SET', 'maxmemory', '1');
    await fixture.worker(async () => DONE);
    await eventually(() => fixture.log.some(({ message }) => message === 'queue error'));
    await redis.config('RESETSTAT');
    const secondsOf = async (): Promise<number> => Number((await redis.time())[0]);
    const begun = await secondsOf();
    await eventually(async () => (await secondsOf()) >= begun + 2);
    const stats = await redis.info('commandstats');
    expect(Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)).toBeLessThan(100);
    await redis.config('SET', 'maxmemory', '0');
    expect(await eventually(async () => (await fixture.queue.status(id)).state === 'done')).toBe(true);
    expect(fixture.log.filter(({ message }) => message === 'queue error').length).toBeLessThan(5);
  } finally {
    redis.disconnect();
    await server.stop();
  }
});
