// The tombstone sweep deletes old tombstones, on condition that they are unchanged.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { tombstoneSweep } from '../../src/maintenance/tombstones.ts';
import type { MaintenanceTask } from '../../src/maintenance/scheduler.ts';
import { newObject, openMaintenanceFixture, type MaintenanceFixture } from './fixture.ts';

let fixture: MaintenanceFixture;
let sweep: MaintenanceTask;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
  sweep = tombstoneSweep(fixture.deps);
  await fixture.born(1);
});
afterEach(async () => {
  fixture.services.s3.faults.clear();
  await fixture[Symbol.asyncDispose]();
});

/** Twice SEALDEX_PARKED_MAX_MS + SEALDEX_LETTER_MAX_MS + a day, with the default values. */
const DAYS = 30 + 30 + 90 + 1;

/** The fixture's store, with a callback between read and removal. */
const withStore = (change: Partial<Store>): MaintenanceTask =>
  tombstoneSweep({ ...fixture.deps, store: { ...fixture.deps.store, ...change } });

describe('a tombstone', () => {
  it('is deleted when no older job can arrive, and not before', async () => {
    await fixture.tombstone(5);
    await fixture.sweepAfter(DAYS - 0.1, sweep);
    expect(await fixture.documents()).toHaveLength(1);
    await fixture.sweepAfter(0.2, sweep);
    expect(await fixture.documents()).toEqual([]);
    expect(await fixture.counted('sealdex_swept_objects_total')).toBe(1);
  });

  it('is distinguished from documents, and from small foreign objects', async () => {
    const document = await fixture.document(5);
    const small = `documents/acme/docs/${newObject()}`;
    await fixture.deps.store.put(small, Buffer.from('x'), { metadata: { revision: '5', 'job-id': 'j', v: '1' } });
    await fixture.tombstone(5);
    await fixture.sweepAfter(DAYS + 1, sweep);
    expect(await fixture.documents()).toEqual([document, small].sort());
  });

  it('replaced by a document between read and removal is not removed: the document survives', async () => {
    const object = newObject();
    const key = await fixture.tombstone(5, object);
    const { store } = fixture.deps;
    const racing = withStore({
      async head(...args) {
        const facts = await store.head(...args);
        if (args[0] === key) await fixture.document(6, object);
        return facts;
      },
    });
    await fixture.sweepAfter(DAYS + 1, racing);
    expect(await fixture.documents()).toEqual([key]);
    expect((await store.head(key))?.metadata).toMatchObject({ revision: '6' });
    expect(await fixture.counted('sealdex_swept_objects_total')).toBe(0);
  });

  it('replaced by a newer one after it was listed is not removed: the newer one stays', async () => {
    const object = newObject();
    const key = await fixture.tombstone(5, object);
    const { store } = fixture.deps;
    const racing = withStore({
      async list(...args) {
        const page = await store.list(...args);
        await fixture.tombstone(6, object);
        return page;
      },
    });
    await fixture.sweepAfter(DAYS + 1, racing);
    expect((await store.head(key))?.metadata).toMatchObject({ revision: '6', deleted: '1' });
  });

  it('older than this Redis stays: jobs lost with another one may be enqueued again', async () => {
    await fixture.tombstone(5);
    const mark = JSON.stringify({ v: 1, id: 'a'.repeat(32), at: Date.now() + 1000 });
    await fixture.redis.set(fixture.deps.keys.birth, mark);
    await fixture.deps.store.put(`system/${fixture.deps.config.queue}/birth`, Buffer.from(mark), {});
    await fixture.sweepAfter(DAYS + 1, sweep);
    expect(await fixture.documents()).toHaveLength(1);
    expect(fixture.log.at(-1)).toMatchObject({ level: 'info', facts: { taken: 0 } });
  });
});

describe('the sweep', () => {
  it('deletes nothing while the Redis identities differ', async () => {
    await fixture.tombstone(5);
    await fixture.redis.set(fixture.deps.keys.birth, JSON.stringify({ v: 1, id: 'f'.repeat(32), at: 0 }));
    await fixture.sweepAfter(DAYS + 1, sweep);
    expect(await fixture.documents()).toHaveLength(1);
    expect(fixture.log.at(-1)).toMatchObject({ level: 'error' });
  });

  it('deletes nothing from a store that ignores the condition of a removal, and logs that once', async () => {
    await fixture.tombstone(5);
    fixture.services.s3.faults.set({ match: { method: 'DELETE' }, fault: { kind: 'ignoreConditions' } });
    await fixture.sweepAfter(DAYS + 1, sweep);
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.documents()).toHaveLength(1);
    expect(fixture.log.map(({ level }) => level)).toEqual(['warn']);
    fixture.services.s3.faults.clear();
    await fixture.sweepAfter(1, sweep);
    expect(await fixture.documents()).toEqual([]);
  });

  it('fails if the test of removals is inconclusive, and leaves no canary', async () => {
    fixture.services.s3.faults.set({
      match: { method: 'DELETE' },
      fault: { kind: 'error', status: 403, code: 'AccessDenied' },
      times: 1,
    });
    await expect(fixture.sweepAfter(DAYS + 1, sweep)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect((await fixture.deps.store.list('system/')).objects.map(({ key }) => key)).toEqual([
      `system/${fixture.deps.config.queue}/birth`,
    ]);
  });

  it('continues, in another process, with the page after the last completed one', async () => {
    const keys: string[] = [];
    for (let count = 0; count < 6; count++) keys.push(await fixture.tombstone(5));
    keys.sort();
    const { store } = fixture.deps;
    const paged: Store['list'] = (prefix, options) => store.list(prefix, { ...options, limit: 2 });
    let lists = 0;
    const dying = withStore({
      list(...args) {
        if (++lists === 2) throw new Error('the process dies');
        return paged(...args);
      },
    });
    await expect(fixture.sweepAfter(DAYS + 1, dying)).rejects.toThrow('the process dies');
    expect(await fixture.documents()).toEqual(keys.slice(2));
    const positions: (string | undefined)[] = [];
    const next = withStore({
      list(prefix, options) {
        positions.push(options?.after);
        return paged(prefix, options);
      },
    });
    await fixture.sweepAfter(0, next);
    expect(await fixture.documents()).toEqual([]);
    expect(positions).toEqual([keys[1], keys[3]]);
    expect(await fixture.redis.exists(fixture.deps.keys.sweep('tombstones'))).toBe(0);
  });
});
