// A fast and a slow pool: fast tasks run at the limit, and hanging ones move to the slow pool after a quarter of a second.
import { setImmediate } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { FastSlowLimiter } from '../../src/keys/fast-slow-limiter.ts';
import { FakeClock } from '../support/clock.ts';

const QUICK = 16;
const SLOW = 64;
const QUICK_MS = 250;

let clock: FakeClock;
let limiter: FastSlowLimiter;
let started: string[];

beforeEach(() => {
  clock = new FakeClock();
  limiter = new FastSlowLimiter(clock);
  started = [];
});

interface Work {
  readonly end: Promise<string>;
  readonly go: () => void;
}

/** Tasks that run until the test ends them. */
const begin = (many: number, isSlow = false): Work[] =>
  Array.from({ length: many }, (_, at) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const name = `${isSlow ? 'slow' : 'quick'} ${at}`;
    const end = limiter.run(isSlow, () => (started.push(name), promise));
    return { end, go: () => resolve(name) };
  });

/** Everything that does not wait for the clock has run. */
async function settled(ms = 0): Promise<number> {
  clock.advance(ms);
  await setImmediate();
  return started.length;
}

test('fast tasks run at the limit, in order, and leave no timer', async () => {
  const works = begin(QUICK + 2);
  expect(await settled()).toBe(QUICK);
  works[3]!.go();
  expect(await works[3]!.end).toBe('quick 3');
  expect(await settled()).toBe(QUICK + 1);
  for (const { go } of works) go();
  expect(await Promise.all(works.map(({ end }) => end))).toEqual(works.map((_, at) => `quick ${at}`));
  expect(clock.pending).toBe(0);
});

test('a hanging task moves to the slow pool, until the slow pool is full', async () => {
  const works = begin(200);
  expect(await settled(QUICK_MS - 1)).toBe(QUICK);
  expect(await settled(1)).toBe(2 * QUICK);
  const found = [];
  for (let round = 0; round < 5; round += 1) found.push(await settled(QUICK_MS));
  expect(found).toEqual([48, 64, 80, 80, 80]);
  works[0]!.go();
  expect(await settled()).toBe(QUICK + SLOW + 1);
  for (const { go } of works) go();
  expect(await Promise.all(works.map(({ end }) => end))).toHaveLength(200);
});

test('a slow task queues in the slow pool and does not delay others', async () => {
  const slow = begin(200, true);
  expect(await settled(QUICK_MS)).toBe(SLOW);
  const [quick] = begin(1);
  expect(await settled()).toBe(SLOW + 1);
  quick!.go();
  expect(await quick!.end).toBe('quick 0');
  for (const { go } of slow) go();
  await Promise.all(slow.map(({ end }) => end));
});

test.for([false, true])('a failed task frees its slot (slow before: %s)', async (isSlow) => {
  const failing = Array.from({ length: 100 }, (_, at) =>
    limiter.run(isSlow, () => Promise.reject<string>(new Error(`no ${at}`))),
  );
  const ended = await Promise.allSettled(failing);
  expect(ended[99]).toMatchObject({ status: 'rejected', reason: { message: 'no 99' } });
  expect(clock.pending).toBe(0);
});
