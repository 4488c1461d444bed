// The intake sweep deletes content without a job, and never content that a job may need.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { putIntake } from '../../src/store/intake.ts';
import { intakeSweep } from '../../src/maintenance/intake-sweep.ts';
import type { MaintenanceTask } from '../../src/maintenance/scheduler.ts';
import { openMaintenanceFixture, type MaintenanceFixture } from './fixture.ts';

let fixture: MaintenanceFixture;
let sweep: MaintenanceTask;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
  sweep = intakeSweep(fixture.deps);
});
afterEach(() => fixture[Symbol.asyncDispose]());

const candidates = (): Promise<string[]> => fixture.redis.zrange(fixture.deps.keys.sweep('intake'), '0', '-1');

describe('content without a job', () => {
  it('is deleted by the second sweep that sees it, a day after the first', async () => {
    await fixture.born(1);
    const [orphan, kept] = [await fixture.content({ job: 'none' }), await fixture.content()];
    await fixture.sweepAfter(15, sweep);
    expect(await fixture.intake()).toEqual([orphan, kept].sort());
    expect(await candidates()).toEqual([orphan]);
    await fixture.sweepAfter(0.9, sweep);
    expect(await fixture.intake()).toHaveLength(2);
    await fixture.sweepAfter(0.1, sweep);
    expect(await fixture.intake()).toEqual([kept]);
    expect(await candidates()).toEqual([]);
    expect(await fixture.counted('sealdex_swept_objects_total')).toBe(1);
  });

  it('younger than SEALDEX_INTAKE_SWEEP_MS is not a candidate', async () => {
    await fixture.born(1);
    const young = await fixture.content({ job: 'none' });
    await fixture.sweepAfter(13.9, sweep);
    expect(await candidates()).toEqual([]);
    await fixture.sweepAfter(0.2, sweep);
    expect(await candidates()).toEqual([young]);
  });

  it('includes content not named by its job, and content of a job that names none', async () => {
    await fixture.born(1);
    await fixture.content({ job: 'other content' });
    await fixture.content({ job: 'without content' });
    const kept = await fixture.content();
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([kept]);
  });

  it('excludes content that an unreadable entry may name, and foreign objects', async () => {
    await fixture.born(1);
    const unreadable = await fixture.content({ job: 'unreadable' });
    await fixture.deps.store.put('intake/acme/notes.txt', Buffer.from('x'), {});
    await fixture.deps.store.put(`intake/acme/${newJobId()}/not-sixteen-hex`, Buffer.from('x'), {});
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toHaveLength(3);
    expect(await fixture.intake()).toContain(unreadable);
    expect(await candidates()).toEqual([]);
  });

  it('is no longer a candidate when its job is back, and a new one when the job is deleted again', async () => {
    await fixture.born(1);
    const name = await fixture.content({ job: 'none' });
    const [tenant = '', id = '', intake = ''] = name.split('/');
    await fixture.sweepAfter(15, sweep);
    const about = { v: 1, tenant, corpus: 'docs', revision: 1, object: 'a'.repeat(64) } as const;
    await fixture.queue.add(id, { ...about, kind: 'index', content: { intake } }, 1);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([name]);
    expect(await candidates()).toEqual([]);
    await fixture.redis.del(`${fixture.deps.keys.prefix}:index:${id}`);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([name]);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([]);
  });
});

describe('a dead letter', () => {
  it('keeps its content regardless of age', async () => {
    await fixture.born(1);
    const name = await fixture.content();
    const id = name.split('/')[1] ?? '';
    const prefix = `${fixture.deps.keys.prefix}:index`;
    // As BullMQ stores a failed job: the entry stays, and only the sets differ.
    await fixture.redis.multi().zrem(`${prefix}:prioritized`, id).zadd(`${prefix}:failed`, '1', id).exec();
    expect((await fixture.queue.status(id)).state).toBe('dead');
    await fixture.sweepAfter(80, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([name]);
  });
});

describe('a sweep deletes no content', () => {
  it('older than this Redis: its job may be lost', async () => {
    await fixture.content({ job: 'none' });
    // Its mark was created later than the object, as far as the clocks show.
    await fixture.born(0);
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toHaveLength(1);
    expect(await candidates()).toEqual([]);
  });

  it('while the Redis identities differ, or Redis has none, and reports it', async () => {
    await fixture.born(1);
    await fixture.content({ job: 'none' });
    await fixture.sweepAfter(15, sweep);
    const { birth: identityKey } = fixture.deps.keys;
    const own = (await fixture.redis.get(identityKey)) ?? '';
    const other = JSON.stringify({ v: 1, id: 'f'.repeat(32), at: 0 });
    for (const mark of [other, '', 'no json', undefined]) {
      await (mark === undefined ? fixture.redis.del(identityKey) : fixture.redis.set(identityKey, mark));
      fixture.log.length = 0;
      await fixture.sweepAfter(1, sweep);
      expect(await fixture.intake()).toHaveLength(1);
      expect(fixture.log.map(({ level }) => level)).toEqual(['error']);
    }
    await fixture.redis.set(identityKey, own);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([]);
  });

  it('when Redis is replaced during the sweep', async () => {
    await fixture.born(1);
    await fixture.content({ job: 'none' });
    await fixture.sweepAfter(15, sweep);
    const { store } = fixture.deps;
    const replaced = intakeSweep({
      ...fixture.deps,
      store: {
        ...store,
        async list(...args) {
          const page = await store.list(...args);
          await fixture.redis.set(fixture.deps.keys.birth, JSON.stringify({ v: 1, id: 'f'.repeat(32), at: 0 }));
          return page;
        },
      },
    });
    await fixture.sweepAfter(1, replaced);
    expect(await fixture.intake()).toHaveLength(1);
  });

  it('named by a job since the check', async () => {
    await fixture.born(1);
    const name = await fixture.content({ job: 'none' });
    const [tenant = '', id = '', intake = ''] = name.split('/');
    await fixture.sweepAfter(15, sweep);
    const { store } = fixture.deps;
    let reads = 0;
    const late = intakeSweep({
      ...fixture.deps,
      store: {
        ...store,
        async get(...args) {
          // The second check of the Redis identity comes right before the deletion.
          if (++reads === 2) {
            const about = { v: 1, tenant, corpus: 'docs', revision: 1, object: 'a'.repeat(64) } as const;
            await fixture.queue.add(id, { ...about, kind: 'index', content: { intake } }, 1);
          }
          return store.get(...args);
        },
      },
    });
    await fixture.sweepAfter(1, late);
    expect(reads).toBe(2);
    expect(await fixture.intake()).toEqual([name]);
  });

  it('if it is more than a sweep may delete, and raises an alarm each time', async () => {
    await fixture.born(1);
    for (let count = 0; count < 11; count++) await fixture.content({ job: 'none' });
    await fixture.sweepAfter(15, sweep);
    expect(await fixture.counted('sealdex_sweep_alarms_total')).toBe(0);
    await fixture.sweepAfter(1, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toHaveLength(11);
    expect(await fixture.counted('sealdex_sweep_alarms_total')).toBe(2);
    expect(await fixture.counted('sealdex_swept_objects_total')).toBe(0);
    expect(fixture.log.at(-1)).toMatchObject({ level: 'error', facts: { seen: 11, due: 11, most: 10 } });
  });
});

describe('the limit of a sweep', () => {
  it('is 10, or 1 % of the objects seen, in pages', async () => {
    await fixture.born(1);
    for (let count = 0; count < 12; count++) await fixture.content({ job: 'none' });
    const facts = { corpus: 'docs', kind: 'index', revision: 1 };
    const place = { tenant: 'acme', jobId: newJobId() };
    // One job names one of these; the others are too many to delete unless they are young, so they belong to an unreadable
    // job.
    await fixture.redis.hset(`${fixture.deps.keys.prefix}:index:${place.jobId}`, 'data', 'no json');
    const others = Array.from({ length: 1188 }, (_, index) => index.toString(16).padStart(16, '0'));
    for (let from = 0; from < others.length; from += 50)
      await Promise.all(
        others
          .slice(from, from + 50)
          .map((intake) => putIntake(fixture.deps.store, { ...place, intake }, facts, Buffer.from('x'))),
      );
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(fixture.log.at(-1)).toMatchObject({ level: 'info', facts: { seen: 1200, due: 12, most: 12, taken: 12 } });
    expect(await fixture.counted('sealdex_swept_objects_total')).toBe(12);
  });
});

describe('an interrupted sweep', () => {
  it('is completed by the next one', async () => {
    await fixture.born(1);
    for (let count = 0; count < 5; count++) await fixture.content({ job: 'none' });
    await fixture.sweepAfter(15, sweep);
    const { store } = fixture.deps;
    const stopping = new AbortController();
    let removals = 0;
    const stopped = intakeSweep({
      ...fixture.deps,
      store: {
        ...store,
        async remove(...args) {
          const answer = await store.remove(...args);
          if (++removals === 2) stopping.abort(new Error('stops'));
          return answer;
        },
      },
    });
    fixture.deps.clock.advance(86_400_000);
    await expect(stopped.run(stopping.signal)).rejects.toThrow('stops');
    expect(await fixture.intake()).toHaveLength(3);
    await fixture.sweepAfter(0, sweep);
    expect(await fixture.intake()).toEqual([]);
    expect(await candidates()).toEqual([]);
  });
});
