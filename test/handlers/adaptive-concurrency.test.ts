// How many at once, by what the test says of the event loop.
import { expect, test } from 'vitest';
import { Width } from '../../src/handlers/adaptive-concurrency.ts';

/** How wide it is after so many have ended while the event loop was at work for this share of the time. */
function after(width: Width, busy: { share: number }, ended: number, share: number): number {
  busy.share = share;
  for (let at = 0; at < ended; at += 1) width.ended();
  return width.width;
}

function open(): { width: Width; busy: { share: number; asked: number } } {
  const busy = { share: 0, asked: 0 };
  const width = new Width(() => {
    busy.asked += 1;
    return busy.share;
  });
  return { width, busy };
}

test('It begins with two, and grows after each 16 that leave the event loop idle, up to 16', () => {
  const { width, busy } = open();
  expect(width).toMatchObject({ width: 2, isIdle: false });
  expect(after(width, busy, 15, 0.1)).toBe(2);
  expect(after(width, busy, 1, 0.1)).toBe(3);
  expect(after(width, busy, 32, 0.34)).toBe(8);
  expect(after(width, busy, 10_000, 0.1)).toBe(16);
});

test('It stays where the event loop is at work for about half of the time, and is halved where it is for more', () => {
  const { width, busy } = open();
  after(width, busy, 160, 0.1);
  expect(width.isIdle).toBe(true);
  expect(after(width, busy, 160, 0.5)).toBe(16);
  expect(width.isIdle).toBe(false);
  expect(after(width, busy, 16, 0.7)).toBe(8);
  expect(after(width, busy, 160, 1)).toBe(2);
});

test('Time in which nothing was done does not count', () => {
  const { width, busy } = open();
  after(width, busy, 15, 0.1);
  width.begin();
  expect(busy.asked).toBe(1);
  expect(after(width, busy, 15, 0.1)).toBe(2);
  expect(after(width, busy, 1, 0.1)).toBe(3);
});
