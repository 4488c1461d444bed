// The tombstone sweep takes what is a tombstone and old, on condition that it still is.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { tombstoneSweep } from '../../src/maintenance/tombstones.ts';
import type { MaintenanceTask } from '../../src/maintenance/scheduler.ts';
import { newObject, openUpkeepRoom, type UpkeepRoom } from './fixture.ts';

let room: UpkeepRoom;
let sweep: MaintenanceTask;

beforeEach(async () => {
  room = await openUpkeepRoom();
  sweep = tombstoneSweep(room.deps);
  await room.born(1);
});
afterEach(async () => {
  room.services.s3.faults.clear();
  await room[Symbol.asyncDispose]();
});

/** Twice SEALDEX_PARKED_MAX_MS + SEALDEX_LETTER_MAX_MS + a day, by their defaults. */
const DAYS = 30 + 30 + 90 + 1;

/** The room's store, with something done between a look and the removal. */
const withStore = (change: Partial<Store>): MaintenanceTask =>
  tombstoneSweep({ ...room.deps, store: { ...room.deps.store, ...change } });

describe('a tombstone', () => {
  it('is deleted when no older job can arrive, and not before', async () => {
    await room.tombstone(5);
    await room.sweepAfter(DAYS - 0.1, sweep);
    expect(await room.documents()).toHaveLength(1);
    await room.sweepAfter(0.2, sweep);
    expect(await room.documents()).toEqual([]);
    expect(await room.counted('sealdex_swept_objects_total')).toBe(1);
  });

  it('is distinguished from documents, and from small foreign objects', async () => {
    const document = await room.document(5);
    const small = `documents/acme/docs/${newObject()}`;
    await room.deps.store.put(small, Buffer.from('x'), { metadata: { revision: '5', 'job-id': 'j', v: '1' } });
    await room.tombstone(5);
    await room.sweepAfter(DAYS + 1, sweep);
    expect(await room.documents()).toEqual([document, small].sort());
  });

  it('replaced by a document between read and removal is not removed: the document survives', async () => {
    const object = newObject();
    const key = await room.tombstone(5, object);
    const { store } = room.deps;
    const racing = withStore({
      async head(...args) {
        const facts = await store.head(...args);
        if (args[0] === key) await room.document(6, object);
        return facts;
      },
    });
    await room.sweepAfter(DAYS + 1, racing);
    expect(await room.documents()).toEqual([key]);
    expect((await store.head(key))?.metadata).toMatchObject({ revision: '6' });
    expect(await room.counted('sealdex_swept_objects_total')).toBe(0);
  });

  it('replaced by a newer one after it was listed is not removed: the newer one stays', async () => {
    const object = newObject();
    const key = await room.tombstone(5, object);
    const { store } = room.deps;
    const racing = withStore({
      async list(...args) {
        const page = await store.list(...args);
        await room.tombstone(6, object);
        return page;
      },
    });
    await room.sweepAfter(DAYS + 1, racing);
    expect((await store.head(key))?.metadata).toMatchObject({ revision: '6', deleted: '1' });
  });

  it('older than this Redis stays: jobs lost with another one may be enqueued again', async () => {
    await room.tombstone(5);
    const mark = JSON.stringify({ v: 1, id: 'a'.repeat(32), at: Date.now() + 1000 });
    await room.redis.set(room.deps.keys.birth, mark);
    await room.deps.store.put(`system/${room.deps.config.queue}/birth`, Buffer.from(mark), {});
    await room.sweepAfter(DAYS + 1, sweep);
    expect(await room.documents()).toHaveLength(1);
    expect(room.log.at(-1)).toMatchObject({ level: 'info', facts: { taken: 0 } });
  });
});

describe('the sweep', () => {
  it('deletes nothing while the Redis identities differ', async () => {
    await room.tombstone(5);
    await room.redis.set(room.deps.keys.birth, JSON.stringify({ v: 1, id: 'f'.repeat(32), at: 0 }));
    await room.sweepAfter(DAYS + 1, sweep);
    expect(await room.documents()).toHaveLength(1);
    expect(room.log.at(-1)).toMatchObject({ level: 'error' });
  });

  it('deletes nothing from a store that ignores the condition of a removal, and logs that once', async () => {
    await room.tombstone(5);
    room.services.s3.faults.set({ match: { method: 'DELETE' }, fault: { kind: 'ignoreConditions' } });
    await room.sweepAfter(DAYS + 1, sweep);
    await room.sweepAfter(1, sweep);
    expect(await room.documents()).toHaveLength(1);
    expect(room.log.map(({ level }) => level)).toEqual(['warn']);
    room.services.s3.faults.clear();
    await room.sweepAfter(1, sweep);
    expect(await room.documents()).toEqual([]);
  });

  it('fails if the test of removals is inconclusive, and leaves no canary', async () => {
    room.services.s3.faults.set({
      match: { method: 'DELETE' },
      fault: { kind: 'error', status: 403, code: 'AccessDenied' },
      times: 1,
    });
    await expect(room.sweepAfter(DAYS + 1, sweep)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect((await room.deps.store.list('system/')).objects.map(({ key }) => key)).toEqual([
      `system/${room.deps.config.queue}/birth`,
    ]);
  });

  it('continues, in another process, with the page after the last completed one', async () => {
    const keys: string[] = [];
    for (let count = 0; count < 6; count++) keys.push(await room.tombstone(5));
    keys.sort();
    const { store } = room.deps;
    const paged: Store['list'] = (prefix, options) => store.list(prefix, { ...options, limit: 2 });
    let lists = 0;
    const dying = withStore({
      list(...args) {
        if (++lists === 2) throw new Error('the process dies');
        return paged(...args);
      },
    });
    await expect(room.sweepAfter(DAYS + 1, dying)).rejects.toThrow('the process dies');
    expect(await room.documents()).toEqual(keys.slice(2));
    const asked: (string | undefined)[] = [];
    const next = withStore({
      list(prefix, options) {
        asked.push(options?.after);
        return paged(prefix, options);
      },
    });
    await room.sweepAfter(0, next);
    expect(await room.documents()).toEqual([]);
    expect(asked).toEqual([keys[1], keys[3]]);
    expect(await room.redis.exists(room.deps.keys.sweep('tombstones'))).toBe(0);
  });
});
