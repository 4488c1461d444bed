// Tenants take turns regardless of the length of a backlog, and virtual time has no end.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { JOBS_PER_TURN, LAST_PRIORITY } from '../../src/queue/fair-share/fair-share.ts';
import { queueKey } from '../../src/queue/bull/queue-keys.ts';
import { rebase } from '../../src/queue/fair-share/rebase.ts';
import { forgetTenants, sweepOutliers } from '../../src/queue/fair-share/reprioritize.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

const HALF = (LAST_PRIORITY + 1) / 2;

let fixture: Fixture;

beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

/** Reserves and adds the given number of jobs of a tenant; returns their ids in order. */
async function addJobs(tenant: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push(await fixture.add({ tenant }));
  return ids;
}

async function priorityOf(tenant: string): Promise<number> {
  const [reservation] = await fixture.queue.reserve([{ queue: 'index', tenant, bytes: 1 }]);
  if (!reservation || reservation instanceof Error) throw reservation ?? new Error('there is no stamp');
  return reservation.priority;
}

/** The waiting jobs in BullMQ's order: id, priority by score, and priority in the entry. */
async function waiting(): Promise<{ id: string; priority: number; entry: number }[]> {
  const flat = await fixture.redis.zrange(queueKey(fixture.keys, 'prioritized'), '0', '-1', 'WITHSCORES');
  const rows = [];
  for (let at = 0; at < flat.length; at += 2) {
    const entry = Number(await fixture.redis.hget(fixture.bull.toKey(flat[at]!), 'priority'));
    rows.push({ id: flat[at]!, priority: Math.floor(Number(flat[at + 1]) / 2 ** 32), entry });
  }
  return rows;
}

const idsOf = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id);

/** Takes the next job, like a worker. */
const take = (): Promise<string[]> => fixture.redis.zpopmin(queueKey(fixture.keys, 'prioritized'));

/** As if the queue had been busy until virtual time reached this priority. */
async function timeIs(priority: number): Promise<string> {
  const id = newJobId();
  await fixture.queue.add(id, dataOf({ tenant: 'head' }), priority);
  const time = (priority - 1) * JOBS_PER_TURN;
  await fixture.redis.hset(fixture.keys.fairClock, { base: 0, now: time, high: time });
  return id;
}

describe('fair queuing', () => {
  it('puts a newcomer before all but one batch of a tenant with many jobs', async () => {
    const many = await addJobs('many', 100);
    const [id] = await addJobs('newcomer', 1);
    const order = idsOf(await waiting());
    expect(order.indexOf(id!)).toBe(JOBS_PER_TURN);
    expect(order.filter((other) => other !== id)).toEqual(many);
  });

  it('serves waiting tenants equally, to one batch, and each in its own order', async () => {
    const counts = { one: 60, two: 24, three: 9 };
    const ids = new Map<string, string>();
    for (const [tenant, count] of Object.entries(counts))
      for (const id of await addJobs(tenant, count)) ids.set(id, tenant);
    const served = { one: 0, two: 0, three: 0 };
    const gaps: number[] = [];
    for (const { id } of await waiting()) {
      served[ids.get(id) as keyof typeof served] += 1;
      const together = Object.entries(served).filter(([tenant, n]) => n < counts[tenant as keyof typeof counts]);
      const shares = together.map(([, n]) => n);
      gaps.push(shares.length > 1 ? Math.max(...shares) - Math.min(...shares) : 0);
    }
    expect(served).toEqual(counts);
    expect(Math.max(...gaps)).toBe(JOBS_PER_TURN);
  });

  it('puts a tenant behind a newcomer for recently served jobs, not for older ones', async () => {
    await addJobs('busy', 10 * JOBS_PER_TURN);
    for (let n = 0; n < 5 * JOBS_PER_TURN; n++) await take();
    expect(await priorityOf('newcomer')).toBe(6);
    expect(await priorityOf('busy')).toBe(11);
  });

  it('restarts when nothing waits', async () => {
    await addJobs('busy', 5 * JOBS_PER_TURN);
    for (let n = 0; n < 5 * JOBS_PER_TURN; n++) await take();
    expect(await priorityOf('busy')).toBe(1);
    expect(await fixture.redis.hgetall(fixture.keys.fairTenants)).toEqual({ busy: '1' });
  });

  it('keeps its time after a job with an old priority', async () => {
    await timeIs(1000);
    expect(await priorityOf('newcomer')).toBe(1000);
    await fixture.queue.add(newJobId(), dataOf(), 3);
    expect(await priorityOf('another')).toBe(1000);
  });

  it('keeps its time after a job with a foreign priority', async () => {
    await addJobs('acme', 1);
    await fixture.bull.add('index', dataOf(), { jobId: newJobId(), priority: 2_000_000 });
    await take();
    expect(await priorityOf('newcomer')).toBe(1);
  });
});

describe('a bulk request', () => {
  it('has consecutive revisions and rising priorities per tenant, from one script', async () => {
    const reservations = await fixture.queue.reserve(
      Array.from({ length: 20 }, (_, n) => ({ queue: 'index', tenant: n % 2 === 0 ? 'even' : 'odd', bytes: 1 })),
    );
    const good = reservations.map((reservation) => (reservation instanceof Error ? undefined : reservation));
    expect(good.map((reservation) => reservation!.revision - good[0]!.revision)).toEqual(good.map((_, n) => n));
    expect(good.map((reservation) => reservation?.priority)).toEqual(
      good.map((_, n) => Math.floor(Math.floor(n / 2) / JOBS_PER_TURN) + 1),
    );
  });
});

describe('tenants without waiting jobs', () => {
  it('are forgotten, and others are not', async () => {
    await timeIs(100);
    await priorityOf('ahead');
    const past = Object.fromEntries(Array.from({ length: 3000 }, (_, n) => [`past-${n}`, n % 390]));
    await fixture.redis.hset(fixture.keys.fairTenants, past);
    let cursor = '0';
    do cursor = await forgetTenants(fixture.redis, fixture.keys, cursor);
    while (cursor !== '0');
    expect(Object.keys(await fixture.redis.hgetall(fixture.keys.fairTenants))).toEqual(['ahead']);
  });
});

describe('the rebase', () => {
  const settle = async (batch: number, between: () => Promise<unknown> = async () => {}): Promise<number> => {
    let batches = 1;
    while (await rebase(fixture.redis, fixture.keys, batch)) {
      batches += 1;
      await between();
    }
    return batches;
  };

  it('moves nothing before the middle of the range', async () => {
    await timeIs(HALF);
    const before = await waiting();
    expect(await settle(10)).toBe(1);
    expect(await waiting()).toEqual(before);
  });

  it('moves all priorities down in batches: same order, same distances, entries too', async () => {
    const head = await timeIs(HALF + 10);
    for (const tenant of ['a', 'b', 'c']) await addJobs(tenant, 33);
    const before = await waiting();
    expect(before[0]?.id).toBe(head);
    expect(await settle(7)).toBeGreaterThan(10);
    const after = await waiting();
    expect(after).toEqual(
      before.map(({ id, priority }) => ({ id, priority: priority - HALF - 9, entry: priority - HALF - 9 })),
    );
    expect(await fixture.redis.hexists(fixture.keys.fairClock, 'offset')).toBe(0);
  });

  it('keeps new jobs in their order while it runs', async () => {
    await timeIs(HALF + 1);
    const many = await addJobs('many', 40);
    const meanwhile: string[] = [];
    const batches = await settle(5, async () => {
      if (meanwhile.length < 3) meanwhile.push(...(await addJobs(`newcomer-${meanwhile.length}`, 1)));
      many.push(...(await addJobs('many', 1)));
    });
    expect(batches).toBeGreaterThan(5);
    const order = await waiting();
    const ids = idsOf(order);
    for (const id of meanwhile) expect(ids.indexOf(id)).toBeLessThan(3 + 1 + JOBS_PER_TURN);
    expect(ids.filter((id) => many.includes(id))).toEqual(many);
    expect(order.every(({ priority, entry }) => priority === entry && priority < 100)).toBe(true);
  });

  it('continues after a crash', async () => {
    await timeIs(HALF + 5);
    await addJobs('many', 30);
    const before = idsOf(await waiting());
    expect(await rebase(fixture.redis, fixture.keys, 11)).toBe(true);
    // The process has died. Time advances: the moved jobs are taken, and more than those.
    for (let n = 0; n < 15; n++) await take();
    expect(await priorityOf('newcomer')).toBe(1 + Math.floor(14 / JOBS_PER_TURN));
    expect(await sweepOutliers(fixture.redis, fixture.keys)).toBe(0);
    expect(await settle(11)).toBeGreaterThan(1);
    expect(idsOf(await waiting())).toEqual(before.slice(15));
    expect(Math.max(...(await waiting()).map(({ priority }) => priority))).toBeLessThan(10);
  });

  it('keeps a tenant far ahead behind the unmoved jobs, and moves it only once', async () => {
    await timeIs(HALF + 1);
    await addJobs('many', 10);
    await fixture.redis.hset(fixture.keys.fairTenants, 'ahead', String(3 * HALF * JOBS_PER_TURN));
    expect(await rebase(fixture.redis, fixture.keys, 3)).toBe(true);
    const [id] = await addJobs('ahead', 1);
    await settle(3);
    expect((await waiting()).at(-1)).toEqual({ id, priority: HALF, entry: HALF });
  });

  it('is completed by the sweep for a job added late with its old priority, which stays before newer jobs', async () => {
    await timeIs(HALF + 5);
    const late = await priorityOf('late');
    await addJobs('many', 10);
    await settle(100);
    const id = newJobId();
    await fixture.queue.add(id, dataOf({ tenant: 'late' }), late);
    await addJobs('many', 10);
    expect(idsOf(await waiting()).at(-1)).toBe(id);
    expect(await sweepOutliers(fixture.redis, fixture.keys)).toBe(1);
    const order = await waiting();
    expect(idsOf(order).indexOf(id)).toBeLessThanOrEqual(1 + 2 * JOBS_PER_TURN);
    expect(order.every(({ priority, entry }) => priority === entry)).toBe(true);
    expect(await sweepOutliers(fixture.redis, fixture.keys)).toBe(0);
  });

  it('frees the end of the range: priorities stop there, and rise again after the move', async () => {
    await timeIs(LAST_PRIORITY - 2);
    const ids = await addJobs('many', 10 * JOBS_PER_TURN);
    const [newcomer] = await addJobs('newcomer', 1);
    const before = await waiting();
    expect(Math.max(...before.map(({ priority }) => priority))).toBe(LAST_PRIORITY);
    expect(idsOf(before).indexOf(newcomer!)).toBeLessThanOrEqual(1 + JOBS_PER_TURN);
    await settle(100);
    ids.push(...(await addJobs('many', 1)));
    const after = await waiting();
    expect(
      idsOf(after)
        .filter((id) => id !== newcomer)
        .slice(1),
    ).toEqual(ids);
    expect(after.at(-1)?.priority).toBeLessThan(20);
    expect(await priorityOf('another')).toBe(1);
  });

  it('restarts if the queue becomes empty during a move', async () => {
    await timeIs(HALF + 5);
    await addJobs('many', 10);
    await rebase(fixture.redis, fixture.keys, 3);
    await fixture.redis.del(queueKey(fixture.keys, 'prioritized'));
    expect(await priorityOf('many')).toBe(1);
    expect(await rebase(fixture.redis, fixture.keys, 3)).toBe(false);
    expect(await fixture.redis.hexists(fixture.keys.fairClock, 'offset')).toBe(0);
  });
});
