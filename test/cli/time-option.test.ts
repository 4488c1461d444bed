// Time options: ages in the units of settings, times with a zone, and the message for everything else.
import { expect, test } from 'vitest';
import { parseTime } from '../../src/cli/time-option.ts';

test.each([
  ['500ms', 500],
  ['90s', 90_000],
  ['30m', 1_800_000],
  ['2h', 7_200_000],
  ['7d', 604_800_000],
])('%s is that long before now', (text, ms) => {
  const before = Date.now();
  const { at } = parseTime(text);
  expect(at).toBeGreaterThanOrEqual(before - ms);
  expect(at).toBeLessThanOrEqual(Date.now() - ms);
});

test('a date is midnight in UTC, and a time has a zone', () => {
  expect(parseTime('2026-11-25')).toEqual({ text: '2026-11-25', at: Date.UTC(2026, 10, 25) });
  expect(parseTime('2026-11-25T12:00+02:00').at).toBe(Date.UTC(2026, 10, 25, 10));
});

test.each(['0', '2026', '30000', '20261125', '1764000000000'])(
  '%s, a number alone, is rejected: it can be an age, a year, a date or a time',
  (text) => {
    expect(() => parseTime(text)).toThrow(
      /^A number needs a unit: an age is 500ms, 30m, 2h or 7d, a UTC time 2026-11-25T10:00Z\.$/,
    );
  },
);

test.each(['', 'noon', '5 m', '1.5h', '-1s', '2026-11-25T10:00', '2026-13-01'])('%j is rejected', (text) => {
  expect(() => parseTime(text)).toThrow(
    /^Expected an age \(500ms, 30m, 2h, 7d\) or a UTC time \(2026-11-25T10:00Z\)\.$/,
  );
});
