// The same step by two workers, in parallel or one after the other: a page runs once, and one pass continues.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openReencryptionFixture, type ReencryptionFixture } from './fixture.ts';

const opened = new AsyncDisposableStack();
let fixture: ReencryptionFixture;
let tenant: string;
let current: string;
let count = 0;

const NOTHING = { current: 0, moved: 0, changed: 0, unreadable: 0 };

beforeAll(async () => {
  fixture = opened.use(await openReencryptionFixture());
});
afterAll(() => opened.disposeAsync());
beforeEach(async () => {
  tenant = `tenant-${(count += 1)}`;
  ({ current } = await fixture.changed(tenant, 3));
});

/** All is re-encrypted, each object was counted once, and no job is left. */
async function endsOnce(): Promise<void> {
  await fixture.runAll(tenant);
  expect(await fixture.under(tenant)).toEqual({ [current]: 3 });
  const { state, counts } = await fixture.healthy.progress(tenant);
  expect(state).toBe('done');
  expect(Object.values(counts!).reduce((sum, each) => sum + each, 0)).toBe(3);
}

async function only(): Promise<string> {
  const waiting = await fixture.waiting(tenant);
  expect(waiting).toHaveLength(1);
  return waiting[0]!;
}

test('a page run by two workers at once is counted once, and one page follows it', async () => {
  await fixture.healthy.restartStalled(tenant);
  const jobId = await only();
  const outcomes = await Promise.all([fixture.run(jobId), fixture.run(jobId)]);
  expect(outcomes).toContainEqual({ kind: 'done' });
  expect(await only()).not.toBe(jobId);
  await endsOnce();
});

test('a worker frozen within its page changes nothing when it continues', async () => {
  await fixture.healthy.restartStalled(tenant);
  const jobId = await only();
  const frozen = (await fixture.healthy.passOf({ v: 1, kind: 'reencrypt', tenant, id: jobId }))!;
  await fixture.run(jobId);
  const following = await only();
  await fixture.healthy.finishPage(frozen, { ...NOTHING, moved: 3 }, `originals/${tenant}/`);
  expect(await only()).toBe(following);
  await endsOnce();
  await fixture.healthy.finishPage(frozen, NOTHING, undefined);
  expect(await fixture.waiting(tenant)).toEqual([]);
});

test('two parallel starts leave one active pass', async () => {
  await Promise.all([
    fixture.healthy.begin(tenant),
    fixture.healthy.begin(tenant),
    fixture.healthy.restartStalled(tenant),
  ]);
  expect((await fixture.waiting(tenant)).length).toBeGreaterThan(0);
  await endsOnce();
});

test('a pass started during a page of another one continues alone, from the first object', async () => {
  await fixture.healthy.restartStalled(tenant);
  const jobId = await only();
  const pass = (await fixture.healthy.passOf({ v: 1, kind: 'reencrypt', tenant, id: jobId }))!;
  await fixture.healthy.begin(tenant);
  await fixture.healthy.finishPage(pass, { ...NOTHING, moved: 3 }, `originals/${tenant}/`);
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ counts: NOTHING });
  await endsOnce();
});

test('a page taken before the start of its pass waits until then', async () => {
  await fixture.healthy.restartStalled(tenant);
  const jobId = await only();
  fixture.clock.advance(-60_000);
  try {
    expect(await fixture.run(jobId)).toEqual({
      kind: 'defer',
      code: 'REENCRYPTION_NOT_DUE',
      afterMs: expect.closeTo(60_000, -4) as number,
    });
  } finally {
    fixture.clock.advance(60_000);
  }
  await endsOnce();
});
