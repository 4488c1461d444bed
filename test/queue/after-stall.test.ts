// A job returned after a stall waits first, once for each stall, and spends no attempt on it.
import { expect, test } from 'vitest';
import { afterStall } from '../../src/queue/bull/after-stall.ts';
import { eventually } from '../support/eventually.ts';
import { openFixture } from './fixture.ts';

test('a stalled job waits after each stall, then runs', async () => {
  await using fixture = await openFixture();
  let runs = 0;
  const id = await fixture.add();
  const entry = fixture.bull.toKey(id);
  await fixture.redis.hset(entry, 'stc', '1');
  await fixture.worker(
    async () => {
      runs += 1;
      return { kind: 'retry', code: 'STORE_FAILED', spendsAttempt: false, afterMs: 600_000 };
    },
    // Long enough that only the test ends it.
    { afterStall: () => 0.999, metrics: fixture.metrics },
  );
  const comesBack = async (): Promise<void> => (await fixture.bull.getJob(id))?.promote();
  const waits = (code: string) =>
    eventually(
      async () => (await fixture.queue.status(id)).code === code && (await fixture.bull.getJobState(id)) === 'delayed',
    );
  for (const stalls of [1, 2, 3]) {
    if (stalls > 1) {
      await fixture.redis.hset(entry, 'stc', String(stalls));
      await comesBack();
    }
    await waits('STALLED');
    expect(runs).toBe(stalls - 1);
    await comesBack();
    await waits('STORE_FAILED');
    expect(runs).toBe(stalls);
  }
  expect(await fixture.redis.hget(entry, 'atm')).toBeNull();
  expect(await fixture.metrics.by('sealdex_jobs_deferred_total', 'code')).toEqual({ STALLED: 3 });
});

test('the wait is 1 to 60 s, once for each new stall', async () => {
  await using fixture = await openFixture();
  const entry = fixture.bull.toKey(await fixture.add());
  const waitOf = async (stalls: number, random: number): Promise<unknown> => {
    await fixture.redis.hset(entry, 'stc', String(stalls));
    return afterStall(fixture.redis, entry, stalls, () => random);
  };
  const outcome = { kind: 'defer', code: 'STALLED' };
  expect(await waitOf(0, 0.5)).toBeUndefined();
  expect(await waitOf(1, 0)).toEqual({ ...outcome, afterMs: 1000 });
  expect(await waitOf(1, 0)).toBeUndefined();
  expect(await waitOf(2, 0.5)).toEqual({ ...outcome, afterMs: 30_500 });
  expect(await waitOf(3, 0.999_999)).toEqual({ ...outcome, afterMs: 59_999 });
  expect(await waitOf(3, 0.5)).toBeUndefined();
});

test('a job that stalled too often becomes a dead letter without a wait', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  const entry = fixture.bull.toKey(id);
  await fixture.redis.hset(entry, { stc: '4', defa: 'job stalled more than allowable limit' });
  await fixture.worker(async () => ({ kind: 'done' }));
  expect(await eventually(async () => (await fixture.queue.status(id)).state === 'dead')).toBe(true);
  expect(await fixture.redis.hget(entry, 'stallsSeen')).toBeNull();
});
