// The concurrency, by the given load of the event loop.
import { expect, test } from 'vitest';
import { AdaptiveConcurrency } from '../../src/handlers/adaptive-concurrency.ts';

/** The limit after the given number of tasks, with the event loop busy for the given share of the time. */
function after(concurrency: AdaptiveConcurrency, busy: { share: number }, ended: number, share: number): number {
  busy.share = share;
  for (let at = 0; at < ended; at += 1) concurrency.onFinish();
  return concurrency.limit;
}

function open(): { concurrency: AdaptiveConcurrency; busy: { share: number; reads: number } } {
  const busy = { share: 0, reads: 0 };
  const concurrency = new AdaptiveConcurrency(() => {
    busy.reads += 1;
    return busy.share;
  });
  return { concurrency, busy };
}

test('the limit begins with two, and grows after each 16 with an idle event loop, up to 16', () => {
  const { concurrency, busy } = open();
  expect(concurrency).toMatchObject({ limit: 2, isIdle: false });
  expect(after(concurrency, busy, 15, 0.1)).toBe(2);
  expect(after(concurrency, busy, 1, 0.1)).toBe(3);
  expect(after(concurrency, busy, 32, 0.34)).toBe(8);
  expect(after(concurrency, busy, 10_000, 0.1)).toBe(16);
});

test('the limit stays with a half busy event loop, and is halved with a busier one', () => {
  const { concurrency, busy } = open();
  after(concurrency, busy, 160, 0.1);
  expect(concurrency.isIdle).toBe(true);
  expect(after(concurrency, busy, 160, 0.5)).toBe(16);
  expect(concurrency.isIdle).toBe(false);
  expect(after(concurrency, busy, 16, 0.7)).toBe(8);
  expect(after(concurrency, busy, 160, 1)).toBe(2);
});

test('idle time does not count', () => {
  const { concurrency, busy } = open();
  after(concurrency, busy, 15, 0.1);
  concurrency.begin();
  expect(busy.reads).toBe(1);
  expect(after(concurrency, busy, 15, 0.1)).toBe(2);
  expect(after(concurrency, busy, 1, 0.1)).toBe(3);
});
