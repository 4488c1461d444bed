// How many jobs without a cached data key may run while KMS is slow, by a clock that the test moves.
import { expect, test } from 'vitest';
import { KmsSlotLimiter, type KmsSlot } from '../../src/handlers/kms-slot-limiter.ts';
import { FakeClock } from '../support/clock.ts';

const SLOTS = 8;

function open(slots = SLOTS) {
  const clock = new FakeClock();
  const limiter = new KmsSlotLimiter(clock, slots);
  const enterAll = (jobs: number): KmsSlot[] =>
    Array.from({ length: jobs }, () => limiter.enter()).filter((slot) => slot !== undefined);
  return { clock, limiter, enterAll };
}

/** Starts a wait in each slot. Returns the numbers of the slots that have to be deferred, and the ends of the waits. */
function waitIn(slots: readonly KmsSlot[]): { deferred: number[]; ends: (() => void)[] } {
  const deferred: number[] = [];
  return { deferred, ends: slots.map((slot, at) => slot.wait(() => deferred.push(at))) };
}

test('jobs without a cached key have all slots while KMS is quick', () => {
  const { clock, enterAll } = open();
  for (let round = 0; round < 20; round++) {
    const slots = enterAll(SLOTS);
    expect(slots.length).toBe(SLOTS);
    const { deferred, ends } = waitIn(slots);
    clock.advance(999);
    for (const end of ends) end();
    for (const slot of slots) slot.leave();
    expect(deferred).toEqual([]);
  }
  expect(clock.pending).toBe(0);
});

test('waits of a second yield all but half of the slots, and no further job enters', () => {
  const { clock, limiter, enterAll } = open();
  const slots = enterAll(SLOTS);
  const { deferred, ends } = waitIn(slots);
  clock.advance(999);
  expect(deferred).toEqual([]);
  clock.advance(1);
  expect(deferred).toEqual([4, 5, 6, 7]);
  for (const at of deferred) ends[at]!();
  for (const at of deferred) slots[at]!.leave();
  expect(limiter.enter()).toBeUndefined();
  ends[0]!();
  expect(enterAll(3).length).toBe(1);
});

test('a slow wait bounds the jobs that enter for 10 s', () => {
  const { clock, enterAll } = open();
  const { ends } = waitIn(enterAll(1));
  clock.advance(1000);
  for (const end of ends) end();
  clock.advance(9999);
  expect(enterAll(SLOTS).length).toBe(4);
  clock.advance(1);
  expect(enterAll(4).length).toBe(4);
});

test('a job counts until its first wait ends, and again in each further wait', () => {
  const { clock, limiter, enterAll } = open(2);
  const [slot] = enterAll(1);
  const first = slot!.wait(() => {});
  clock.advance(1000);
  expect(limiter.enter()).toBeUndefined();
  first();
  const other = limiter.enter();
  expect(other).toBeDefined();
  other!.leave();
  const [second, third] = [slot!.wait(() => {}), slot!.wait(() => {})];
  second();
  slot!.leave();
  expect(limiter.enter()).toBeUndefined();
  third();
  slot!.leave();
  expect(limiter.enter()).toBeDefined();
});

test('deferred jobs return 40 ms apart, after 1 s at the earliest and 60 s at the latest', () => {
  const { clock, limiter } = open();
  expect([limiter.returnMs(), limiter.returnMs(), limiter.returnMs()]).toEqual([1000, 1040, 1080]);
  for (let job = 0; job < 10_000; job++) limiter.returnMs();
  expect(limiter.returnMs()).toBe(60_000);
  clock.advance(120_000);
  expect(limiter.returnMs()).toBe(1000);
});

test.for([1, 2, 3])('a limiter of %i slots lets one job wait', (slots) => {
  const { clock, enterAll } = open(slots);
  waitIn(enterAll(1));
  clock.advance(1000);
  expect(enterAll(1)).toEqual([]);
});
