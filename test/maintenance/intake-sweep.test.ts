// The intake sweep takes what no job names, and never what one may need.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { putIntake } from '../../src/store/intake.ts';
import { intakeSweep } from '../../src/maintenance/intake-sweep.ts';
import type { MaintenanceTask } from '../../src/maintenance/scheduler.ts';
import { openUpkeepRoom, type UpkeepRoom } from './fixture.ts';

let room: UpkeepRoom;
let sweep: MaintenanceTask;

beforeEach(async () => {
  room = await openUpkeepRoom();
  sweep = intakeSweep(room.deps);
});
afterEach(() => room[Symbol.asyncDispose]());

const suspects = (): Promise<string[]> => room.redis.zrange(room.deps.keys.sweep('intake'), '0', '-1');

describe('content without a job', () => {
  it('is deleted by the second sweep that sees it, a day after the first', async () => {
    await room.born(1);
    const [orphan, kept] = [await room.content({ job: 'none' }), await room.content()];
    await room.sweepAfter(15, sweep);
    expect(await room.intake()).toEqual([orphan, kept].sort());
    expect(await suspects()).toEqual([orphan]);
    await room.sweepAfter(0.9, sweep);
    expect(await room.intake()).toHaveLength(2);
    await room.sweepAfter(0.1, sweep);
    expect(await room.intake()).toEqual([kept]);
    expect(await suspects()).toEqual([]);
    expect(await room.counted('sealdex_swept_objects_total')).toBe(1);
  });

  it('younger than SEALDEX_INTAKE_SWEEP_MS is not a candidate', async () => {
    await room.born(1);
    const young = await room.content({ job: 'none' });
    await room.sweepAfter(13.9, sweep);
    expect(await suspects()).toEqual([]);
    await room.sweepAfter(0.2, sweep);
    expect(await suspects()).toEqual([young]);
  });

  it('includes content not named by its job, and content of a job that names none', async () => {
    await room.born(1);
    await room.content({ job: 'other content' });
    await room.content({ job: 'without content' });
    const kept = await room.content();
    await room.sweepAfter(15, sweep);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toEqual([kept]);
  });

  it('excludes content that an unreadable entry may name, and foreign objects', async () => {
    await room.born(1);
    const unreadable = await room.content({ job: 'unreadable' });
    await room.deps.store.put('intake/acme/notes.txt', Buffer.from('x'), {});
    await room.deps.store.put(`intake/acme/${newJobId()}/not-sixteen-hex`, Buffer.from('x'), {});
    await room.sweepAfter(15, sweep);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toHaveLength(3);
    expect(await room.intake()).toContain(unreadable);
    expect(await suspects()).toEqual([]);
  });

  it('is no longer a candidate when its job is back, and a new one when the job is deleted again', async () => {
    await room.born(1);
    const name = await room.content({ job: 'none' });
    const [tenant = '', id = '', intake = ''] = name.split('/');
    await room.sweepAfter(15, sweep);
    const about = { v: 1, tenant, corpus: 'docs', revision: 1, object: 'a'.repeat(64) } as const;
    await room.queue.add(id, { ...about, kind: 'index', content: { intake } }, 1);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toEqual([name]);
    expect(await suspects()).toEqual([]);
    await room.redis.del(`${room.deps.keys.prefix}:index:${id}`);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toEqual([name]);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toEqual([]);
  });
});

describe('a dead letter', () => {
  it('keeps its content regardless of age', async () => {
    await room.born(1);
    const name = await room.content();
    const id = name.split('/')[1] ?? '';
    const prefix = `${room.deps.keys.prefix}:index`;
    // Where BullMQ has a job that has failed: the entry stays, and only the sets differ.
    await room.redis.multi().zrem(`${prefix}:prioritized`, id).zadd(`${prefix}:failed`, '1', id).exec();
    expect((await room.queue.status(id)).state).toBe('dead');
    await room.sweepAfter(80, sweep);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toEqual([name]);
  });
});

describe('a sweep deletes no content', () => {
  it('older than this Redis: its job may be lost', async () => {
    await room.content({ job: 'none' });
    // Its mark was made later than the object, as far as the clocks can tell.
    await room.born(0);
    await room.sweepAfter(15, sweep);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toHaveLength(1);
    expect(await suspects()).toEqual([]);
  });

  it('while the Redis identities differ, or Redis has none, and reports it', async () => {
    await room.born(1);
    await room.content({ job: 'none' });
    await room.sweepAfter(15, sweep);
    const { birth } = room.deps.keys;
    const own = (await room.redis.get(birth)) ?? '';
    const other = JSON.stringify({ v: 1, id: 'f'.repeat(32), at: 0 });
    for (const mark of [other, '', 'no json', undefined]) {
      await (mark === undefined ? room.redis.del(birth) : room.redis.set(birth, mark));
      room.log.length = 0;
      await room.sweepAfter(1, sweep);
      expect(await room.intake()).toHaveLength(1);
      expect(room.log.map(({ level }) => level)).toEqual(['error']);
    }
    await room.redis.set(birth, own);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toEqual([]);
  });

  it('when Redis is replaced during the sweep', async () => {
    await room.born(1);
    await room.content({ job: 'none' });
    await room.sweepAfter(15, sweep);
    const { store } = room.deps;
    const replaced = intakeSweep({
      ...room.deps,
      store: {
        ...store,
        async list(...args) {
          const page = await store.list(...args);
          await room.redis.set(room.deps.keys.birth, JSON.stringify({ v: 1, id: 'f'.repeat(32), at: 0 }));
          return page;
        },
      },
    });
    await room.sweepAfter(1, replaced);
    expect(await room.intake()).toHaveLength(1);
  });

  it('named by a job since the check', async () => {
    await room.born(1);
    const name = await room.content({ job: 'none' });
    const [tenant = '', id = '', intake = ''] = name.split('/');
    await room.sweepAfter(15, sweep);
    const { store } = room.deps;
    let looks = 0;
    const late = intakeSweep({
      ...room.deps,
      store: {
        ...store,
        async get(...args) {
          // The second look at the birth mark comes right before the taking.
          if (++looks === 2) {
            const about = { v: 1, tenant, corpus: 'docs', revision: 1, object: 'a'.repeat(64) } as const;
            await room.queue.add(id, { ...about, kind: 'index', content: { intake } }, 1);
          }
          return store.get(...args);
        },
      },
    });
    await room.sweepAfter(1, late);
    expect(looks).toBe(2);
    expect(await room.intake()).toEqual([name]);
  });

  it('if it is more than a sweep may delete, and raises an alarm each time', async () => {
    await room.born(1);
    for (let count = 0; count < 11; count++) await room.content({ job: 'none' });
    await room.sweepAfter(15, sweep);
    expect(await room.counted('sealdex_sweep_alarms_total')).toBe(0);
    await room.sweepAfter(1, sweep);
    await room.sweepAfter(1, sweep);
    expect(await room.intake()).toHaveLength(11);
    expect(await room.counted('sealdex_sweep_alarms_total')).toBe(2);
    expect(await room.counted('sealdex_swept_objects_total')).toBe(0);
    expect(room.log.at(-1)).toMatchObject({ level: 'error', facts: { seen: 11, due: 11, most: 10 } });
  });
});

describe('the limit of a sweep', () => {
  it('is 10, or 1 % of the objects seen, in pages', async () => {
    await room.born(1);
    for (let count = 0; count < 12; count++) await room.content({ job: 'none' });
    const facts = { corpus: 'docs', kind: 'index', revision: 1 };
    const place = { tenant: 'acme', jobId: newJobId() };
    // One job names one of these; all the others are too many to go unless they are young, so they are under a job that is unreadable.
    await room.redis.hset(`${room.deps.keys.prefix}:index:${place.jobId}`, 'data', 'no json');
    const others = Array.from({ length: 1188 }, (_, index) => index.toString(16).padStart(16, '0'));
    for (let from = 0; from < others.length; from += 50)
      await Promise.all(
        others
          .slice(from, from + 50)
          .map((intake) => putIntake(room.deps.store, { ...place, intake }, facts, Buffer.from('x'))),
      );
    await room.sweepAfter(15, sweep);
    await room.sweepAfter(1, sweep);
    expect(room.log.at(-1)).toMatchObject({ level: 'info', facts: { seen: 1200, due: 12, most: 12, taken: 12 } });
    expect(await room.counted('sealdex_swept_objects_total')).toBe(12);
  });
});

describe('an interrupted sweep', () => {
  it('is completed by the next one', async () => {
    await room.born(1);
    for (let count = 0; count < 5; count++) await room.content({ job: 'none' });
    await room.sweepAfter(15, sweep);
    const { store } = room.deps;
    const stopping = new AbortController();
    let removals = 0;
    const stopped = intakeSweep({
      ...room.deps,
      store: {
        ...store,
        async remove(...args) {
          const answer = await store.remove(...args);
          if (++removals === 2) stopping.abort(new Error('stops'));
          return answer;
        },
      },
    });
    room.deps.clock.advance(86_400_000);
    await expect(stopped.run(stopping.signal)).rejects.toThrow('stops');
    expect(await room.intake()).toHaveLength(3);
    await room.sweepAfter(0, sweep);
    expect(await room.intake()).toEqual([]);
    expect(await suspects()).toEqual([]);
  });
});
