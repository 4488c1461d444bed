// Two who do the same at once, or one after the other: a page has its turn once, and one pass goes on.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openMovingRoom, type MovingRoom } from './fixture.ts';

const opened = new AsyncDisposableStack();
let room: MovingRoom;
let tenant: string;
let current: string;
let count = 0;

const NOTHING = { current: 0, moved: 0, changed: 0, unreadable: 0 };

beforeAll(async () => {
  room = opened.use(await openMovingRoom());
});
afterAll(() => opened.disposeAsync());
beforeEach(async () => {
  tenant = `tenant-${(count += 1)}`;
  ({ current } = await room.changed(tenant, 3));
});

/** All is moved, each object was counted once, and no job is left. */
async function endsOnce(): Promise<void> {
  await room.runAll(tenant);
  expect(await room.under(tenant)).toEqual({ [current]: 3 });
  const { state, counts } = await room.healthy.progress(tenant);
  expect(state).toBe('done');
  expect(Object.values(counts!).reduce((sum, each) => sum + each, 0)).toBe(3);
}

async function only(): Promise<string> {
  const waiting = await room.waiting(tenant);
  expect(waiting).toHaveLength(1);
  return waiting[0]!;
}

test('A page that two workers do at once is counted once, and one page follows it', async () => {
  await room.healthy.restartStalled(tenant);
  const jobId = await only();
  const outcomes = await Promise.all([room.run(jobId), room.run(jobId)]);
  expect(outcomes).toContainEqual({ kind: 'done' });
  expect(await only()).not.toBe(jobId);
  await endsOnce();
});

test('A worker that was frozen within its page changes nothing when it goes on', async () => {
  await room.healthy.restartStalled(tenant);
  const jobId = await only();
  const frozen = (await room.healthy.passOf({ v: 1, kind: 'reencrypt', tenant, id: jobId }))!;
  await room.run(jobId);
  const following = await only();
  await room.healthy.turn(frozen, { ...NOTHING, moved: 3 }, `originals/${tenant}/`);
  expect(await only()).toBe(following);
  await endsOnce();
  await room.healthy.turn(frozen, NOTHING, undefined);
  expect(await room.waiting(tenant)).toEqual([]);
});

test('Two who begin at once leave one pass that goes on', async () => {
  await Promise.all([room.healthy.begin(tenant), room.healthy.begin(tenant), room.healthy.restartStalled(tenant)]);
  expect((await room.waiting(tenant)).length).toBeGreaterThan(0);
  await endsOnce();
});

test('A pass that is begun while a page of another one is done goes on alone, from the first object', async () => {
  await room.healthy.restartStalled(tenant);
  const jobId = await only();
  const pass = (await room.healthy.passOf({ v: 1, kind: 'reencrypt', tenant, id: jobId }))!;
  await room.healthy.begin(tenant);
  await room.healthy.turn(pass, { ...NOTHING, moved: 3 }, `originals/${tenant}/`);
  expect(await room.healthy.progress(tenant)).toMatchObject({ counts: NOTHING });
  await endsOnce();
});

test('A page that is taken before its pass may begin waits until then', async () => {
  await room.healthy.restartStalled(tenant);
  const jobId = await only();
  room.clock.advance(-60_000);
  try {
    expect(await room.run(jobId)).toEqual({
      kind: 'defer',
      code: 'REENCRYPTION_NOT_DUE',
      afterMs: expect.closeTo(60_000, -4) as number,
    });
  } finally {
    room.clock.advance(60_000);
  }
  await endsOnce();
});
