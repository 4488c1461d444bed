// The intake sweep deletes content without a job, and never content that a job may need.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { intakePlaceOf } from '../../src/runtime/intake-key.ts';
import { putIntake } from '../../src/store/intake.ts';
import { newIntakePlace } from '../support/intake.ts';
import { intakeSweep, sweepIntake } from '../../src/maintenance/intake-sweep.ts';
import { DAY_MS, type SweepDeps } from '../../src/maintenance/sweep.ts';
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
    const { tenant, jobId: id, intake } = intakePlaceOf(name)!;
    await fixture.sweepAfter(15, sweep);
    const about = { v: 1, tenant, corpus: 'docs', revision: 1, object: 'a'.repeat(64) } as const;
    await fixture.queue.add(id, { ...about, kind: 'index', content: { intake } }, 1);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([name]);
    expect(await candidates()).toEqual([]);
    await fixture.redis.del(`${fixture.deps.keys.prefix}:index:${id}`);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([name]);
    // The number of jobs with content has fallen from 1 to 0.
    await fixture.sweepAfter(7, sweep);
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
    const { tenant, jobId: id, intake } = intakePlaceOf(name)!;
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

  it('belonging to another installation in the bucket', async () => {
    await fixture.born(1);
    await fixture.content({ job: 'none' });
    const others = [await fixture.content({ queue: 'other' }), await fixture.content({ job: 'none', queue: 'other' })];
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual(others.sort());
    expect(await candidates()).toEqual([]);
  });

  it('under an old key, which names no installation, if another installation uses the bucket', async () => {
    await fixture.born(1);
    const old = `acme/${newJobId()}/0123456789abcdef`;
    await fixture.deps.store.put(`intake/${old}`, Buffer.from('x'), {});
    await fixture.deps.store.put('system/other/birth', Buffer.from('x'), {});
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([old]);
    await fixture.deps.store.remove('system/other/birth');
    await fixture.sweepAfter(1, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([]);
  });
});

describe('the safety limit of a sweep', () => {
  it('leaves 17 leftovers among few objects to no later sweep', async () => {
    await fixture.born(1);
    for (let count = 0; count < 17; count++) await fixture.content({ job: 'none' });
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([]);
    expect(await fixture.counted('sealdex_sweep_alarms_total')).toBe(0);
  });

  it('is 1,000 objects, and an alarm is raised while there are more', async () => {
    await fixture.born(1);
    const { store, config } = fixture.deps;
    for (let from = 0; from < 1003; from += 59)
      await Promise.all(
        Array.from({ length: 59 }, () => putIntake(store, newIntakePlace(config.queue), Buffer.alloc(0))),
      );
    await fixture.sweepAfter(15, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toHaveLength(3);
    expect(await fixture.counted('sealdex_sweep_alarms_total')).toBe(1);
    expect(fixture.log.at(-1)).toMatchObject({
      level: 'info',
      facts: { seen: 1003, due: 1003, most: 1000, taken: 1000 },
    });
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toEqual([]);
    expect(await fixture.counted('sealdex_sweep_alarms_total')).toBe(1);
  });

  it('can be replaced by a number; the oldest objects are deleted first', async () => {
    await fixture.born(1);
    const names = [await fixture.content({ job: 'none' }), await fixture.content({ job: 'none' })].sort();
    const { store } = fixture.deps;
    const backwards: SweepDeps['store'] = {
      ...store,
      async list(...args) {
        const page = await store.list(...args);
        const aged = page.objects.map((each, at) => ({
          ...each,
          modified: new Date(each.modified.getTime() - at * 1000),
        }));
        return { ...page, objects: aged };
      },
    };
    await fixture.sweepAfter(15, sweep);
    fixture.deps.clock.advance(DAY_MS);
    const swept = await sweepIntake({ ...fixture.deps, store: backwards }, { take: 1 }, new AbortController().signal);
    expect(swept).toMatchObject({ seen: 2, due: 2, taken: 1 });
    expect(await fixture.intake()).toEqual(names.slice(0, 1));
  });

  it('is zero for a week after the number of jobs that name content has more than halved', async () => {
    await fixture.born(1);
    await fixture.content({ job: 'none' });
    const kept = [await fixture.content(), await fixture.content(), await fixture.content()];
    await fixture.sweepAfter(15, sweep);
    // A Redis that was restored from an older state has not got these jobs.
    for (const name of kept.slice(1))
      await fixture.redis.del(`${fixture.deps.keys.prefix}:index:${name.split('/')[1]}`);
    await fixture.sweepAfter(1, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.intake()).toHaveLength(4);
    expect(fixture.log.map(({ level }) => level)).toEqual(['info', 'error', 'error']);
    expect(await fixture.counted('sealdex_sweep_alarms_total')).toBe(2);
    await fixture.sweepAfter(6, sweep);
    expect(await fixture.intake()).toEqual([kept[0]]);
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
