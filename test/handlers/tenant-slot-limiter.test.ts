// The number of jobs of one tenant that may wait for its key or S3, with a fake clock.
import { expect, test } from 'vitest';
import { TenantSlotLimiter } from '../../src/handlers/tenant-slot-limiter.ts';
import { FakeClock } from '../support/clock.ts';

const SLOTS = 8;

function open(slots = SLOTS) {
  const clock = new FakeClock();
  const limiter = new TenantSlotLimiter(clock, slots);
  const yielded: number[] = [];
  const enterAll = (tenant: string, steps: number, isKey = false): (() => void)[] =>
    Array.from({ length: steps }, (_, at) => limiter.acquire(tenant, isKey ? () => yielded.push(at) : undefined));
  return { clock, limiter, yielded, enterAll };
}

test('a single fast tenant has all slots', () => {
  const { clock, limiter, enterAll } = open();
  for (let round = 0; round < 20; round++) {
    const leaves = enterAll('acme', SLOTS, true);
    clock.advance(999);
    expect(limiter.isOverShare('acme')).toBe(false);
    for (const leave of leaves) leave();
  }
  expect(clock.pending).toBe(0);
});

test('a tenant is over its share if a quarter of the slots wait for a second or longer, and no other tenant is', () => {
  const { clock, limiter, enterAll } = open();
  const [first, second] = enterAll('acme', 2);
  enterAll('globex', 1);
  clock.advance(999);
  expect(limiter.isOverShare('acme')).toBe(false);
  clock.advance(1);
  expect(limiter.isOverShare('acme')).toBe(true);
  expect(limiter.isOverShare('globex')).toBe(false);
  first!();
  first!();
  expect(limiter.isOverShare('acme')).toBe(false);
  enterAll('acme', 1);
  clock.advance(1000);
  expect(limiter.isOverShare('acme')).toBe(true);
  second!();
  expect(limiter.isOverShare('acme')).toBe(false);
});

test('steps that wait long for a key at the same time yield all but a quarter of the slots', () => {
  const { clock, yielded, enterAll } = open();
  enterAll('acme', SLOTS, true);
  clock.advance(999);
  expect(yielded).toEqual([]);
  clock.advance(1);
  expect(yielded).toEqual([2, 3, 4, 5, 6, 7]);
});

test('steps that wait for S3 count, and lose nothing already transferred', () => {
  const { clock, yielded, enterAll } = open();
  enterAll('acme', 2);
  enterAll('acme', 1, true);
  enterAll('acme', 1);
  clock.advance(1000);
  expect(yielded).toEqual([0]);
});

test('a step that yielded does not count as waiting', () => {
  const { clock, limiter, yielded, enterAll } = open();
  const leaves = enterAll('acme', 3, true);
  clock.advance(1000);
  expect(yielded).toEqual([2]);
  for (const leave of leaves.slice(1)) leave();
  expect(limiter.isOverShare('acme')).toBe(false);
});

test.for([1, 3, 4])('a limiter of %i slots allows one waiting job', (slots) => {
  const { clock, limiter, enterAll } = open(slots);
  const [leave] = enterAll('acme', 1);
  clock.advance(1000);
  expect(limiter.isOverShare('acme')).toBe(true);
  leave!();
  expect(limiter.isOverShare('acme')).toBe(false);
});
