// The rate limiter of a throttled client: inactive at first, then an interval that grows and shrinks; calls in order,
// limited, and abortable.
import { beforeEach, expect, test } from 'vitest';
import { RateLimiter } from '../../src/keys/rate-limiter.ts';
import { FakeClock } from '../support/clock.ts';

const never = new AbortController().signal;
const THROTTLED = new Error('throttled');
const isThrottled = (error: unknown): boolean => error === THROTTLED;
const RATE_LIMITED = { code: 'KMS_THROTTLED', reason: 'RateLimited' };

let clock: FakeClock;
let limiter: RateLimiter;
let starts: number[];

beforeEach(() => {
  clock = new FakeClock();
  limiter = new RateLimiter({ clock, isThrottled, maxWaiting: 5 });
  starts = [];
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
const good = (signal = never): Promise<string> =>
  limiter.run(signal, () => (starts.push(clock.monotonic()), Promise.resolve('good')));
const bad = (signal = never): Promise<unknown> => limiter.run(signal, () => Promise.reject(THROTTLED)).catch(() => {});

/** Throttled responses one after the other, each at its time. */
async function throttle(times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    const call = bad();
    clock.advance(limiter.intervalMs);
    await call;
  }
}

/** The distances between later times. */
const gapsFrom = (from: number): number[] => starts.map((start, i) => Math.round(start - (starts[i - 1] ?? from)));

test('a call starts at once without a timer while KMS does not throttle', async () => {
  const calls = Array.from({ length: 100 }, () => good());
  expect(starts).toHaveLength(100);
  await Promise.all(calls);
  expect([limiter.intervalMs, clock.pending]).toEqual([0, 0]);
});

test('an error other than throttling slows no call, and is passed on', async () => {
  const other = new Error('other');
  await expect(limiter.run(never, () => Promise.reject(other))).rejects.toBe(other);
  expect(limiter.intervalMs).toBe(0);
});

test('the interval doubles with each throttled response, from 50 ms to 2 s', async () => {
  const intervals: number[] = [];
  for (let i = 0; i < 8; i += 1) {
    await throttle(1);
    intervals.push(limiter.intervalMs);
  }
  expect(intervals).toEqual([50, 100, 200, 400, 800, 1600, 2000, 2000]);
});

test('calls start an interval apart and in order after a throttled response, the first one too', async () => {
  await throttle(2);
  const from = clock.monotonic();
  const order: string[] = [];
  const calls = ['a', 'b', 'c'].map((name) => limiter.run(never, () => (order.push(name), new Promise(() => {}))));
  void calls;
  for (const expected of [[], ['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    await turn();
    expect(order).toEqual(expected);
    clock.advance(99);
    await turn();
    expect(order).toEqual(expected);
    clock.advance(1);
  }
  expect(clock.monotonic() - from).toBe(400);
});

test('successful responses shrink the interval to zero, and then no call waits', async () => {
  await throttle(7);
  expect(limiter.intervalMs).toBe(2000);
  const from = clock.monotonic();
  let answers = 0;
  while (limiter.intervalMs > 0) {
    const call = good();
    clock.advance(limiter.intervalMs);
    await call;
    answers += 1;
  }
  expect(answers).toBe(35);
  const gaps = gapsFrom(from);
  expect(gaps.slice(0, 3)).toEqual([2000, 1600, 1280]);
  expect(gaps).toEqual(gaps.toSorted((a, b) => b - a));
  expect(clock.monotonic() - from).toBeLessThan(10_000);
  await good();
  expect(gapsFrom(from).at(-1)).toBe(0);
  expect(clock.pending).toBe(0);
});

test('a waiting call starts earlier when a success shrinks the interval, and later when it grows', async () => {
  await throttle(2);
  const first = Promise.withResolvers<string>();
  const second = Promise.withResolvers<string>();
  void limiter.run(never, () => first.promise);
  void limiter.run(never, () => second.promise).catch(() => {});
  void good();
  clock.advance(100);
  await turn();
  const from = clock.monotonic();
  first.resolve('good');
  await turn();
  clock.advance(80);
  await turn();
  second.reject(THROTTLED);
  await turn();
  clock.advance(159);
  await turn();
  expect(starts).toEqual([]);
  clock.advance(1);
  await turn();
  expect(gapsFrom(from)).toEqual([80 + 160]);
});

test('parallel calls are one observation: their successes do not shrink the interval', async () => {
  const answers = Array.from({ length: 40 }, () => Promise.withResolvers<void>());
  const calls = answers.map(({ promise }) => limiter.run(never, () => promise).catch(() => {}));
  for (const { reject } of answers.slice(0, 20)) reject(THROTTLED);
  for (const { resolve } of answers.slice(20)) resolve();
  await Promise.all(calls);
  expect(limiter.intervalMs).toBe(50);
});

test('a throttled response has no effect after a minute', async () => {
  await throttle(7);
  clock.advance(60_000);
  await Promise.all([good(), good(), good()]);
  expect([limiter.intervalMs, clock.pending]).toEqual([0, 0]);
});

test('an aborted waiter is rejected, never starts, and does not delay the next', async () => {
  await throttle(1);
  const impatient = new AbortController();
  const given = good(impatient.signal);
  const behind = good();
  impatient.abort(new Error('too late'));
  await expect(given).rejects.toMatchObject(RATE_LIMITED);
  clock.advance(50);
  expect(await behind).toBe('good');
  expect(starts).toHaveLength(1);
  await expect(good(impatient.signal)).rejects.toMatchObject(RATE_LIMITED);
});

test('no timer remains when all waiters abort', async () => {
  await throttle(1);
  const impatient = new AbortController();
  const calls = [good(impatient.signal), good(impatient.signal)];
  expect(clock.pending).toBe(1);
  impatient.abort();
  await Promise.allSettled(calls);
  expect([clock.pending, starts.length]).toEqual([0, 0]);
});

test('calls beyond the queue limit are rejected at once', async () => {
  await throttle(1);
  const waiting = Array.from({ length: 5 }, () => good());
  await expect(good()).rejects.toMatchObject(RATE_LIMITED);
  clock.advance(1000);
  expect(await Promise.all(waiting)).toHaveLength(5);
});
