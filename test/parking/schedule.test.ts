// The time of the next probe of a shut gate.
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/runtime/config.ts';
import type { Code } from '../../src/runtime/errors.ts';
import { confirmProbe, firstProbe, nextProbe, type ProbeTimes } from '../../src/parking/schedule.ts';

const { probeMinMs, probeMaxMs } = loadConfig(
  {
    REDIS_URL: 'redis://127.0.0.1',
    SEALDEX_BUCKET: 'bucket',
    SEALDEX_PLATFORM_KEY_ARN: 'arn:aws:kms:us-west-2:111122223333:key/none',
  },
  {},
);
const TIMES: ProbeTimes = { probeMinMs, probeMaxMs };
const DAY_MS = 86_400_000;
const MIDDLE = (): number => 0.5;

const next = (probes: number, shutMs: number, code: Code = 'KEY_DISABLED', random = MIDDLE): number =>
  nextProbe(TIMES, { probes, shutMs, code }, random);

test('a key is probed after 30 s, then at doubled intervals up to 5 min in the first day', () => {
  expect(firstProbe(TIMES, MIDDLE)).toBe(30_000);
  expect([1, 2, 3, 4, 5, 100].map((probes) => next(probes, 60_000))).toEqual([
    60_000, 120_000, 240_000, 300_000, 300_000, 300_000,
  ]);
  expect(next(300, DAY_MS - 1)).toBe(300_000);
});

test('a key is probed every 15 min after a day', () => {
  expect(next(300, DAY_MS)).toBe(900_000);
  expect(next(2 ** 40, 30 * DAY_MS)).toBe(900_000);
});

test('a disconnected key store is probed at least every 2 min', () => {
  expect([1, 2, 10].map((probes) => next(probes, 60_000, 'KEY_UNAVAILABLE'))).toEqual([60_000, 120_000, 120_000]);
  expect(next(300, 10 * DAY_MS, 'KEY_UNAVAILABLE')).toBe(120_000);
});

test('probes of many keys vary by a fifth either way', () => {
  const [lowest, highest] = [() => 0, () => 1];
  expect([firstProbe(TIMES, lowest), firstProbe(TIMES, highest)]).toEqual([24_000, 36_000]);
  expect([next(9, 0, 'KEY_DENIED', lowest), next(9, 0, 'KEY_DENIED', highest)]).toEqual([240_000, 360_000]);
  const drawn = Array.from({ length: 200 }, () => nextProbe(TIMES, { probes: 9, shutMs: 0, code: 'KEY_DENIED' }));
  expect(new Set(drawn).size).toBeGreaterThan(50);
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(240_000);
  expect(Math.max(...drawn)).toBeLessThanOrEqual(360_000);
});

test('a successful probe is confirmed after 5 s, or sooner with shorter intervals', () => {
  expect(confirmProbe(TIMES)).toBe(5000);
  expect(confirmProbe({ probeMinMs: 200, probeMaxMs: 600 })).toBe(200);
});

test('close settings never delay a probe beyond the maximum, nor below the minimum', () => {
  const close: ProbeTimes = { probeMinMs: 200, probeMaxMs: 300 };
  expect(nextProbe(close, { probes: 5, shutMs: 0, code: 'KEY_DISABLED' }, MIDDLE)).toBe(200);
  expect(nextProbe(close, { probes: 5, shutMs: DAY_MS, code: 'KEY_DISABLED' }, MIDDLE)).toBe(300);
});
