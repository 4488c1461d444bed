// The schedule of a chaos run is decided by its seed.
import { expect, test } from 'vitest';
import { scheduleOf, type FaultName } from './schedule.ts';

const LENGTH_MS = 60_000;

test('the same seed gives the same schedule, and another seed another one', () => {
  const first = scheduleOf({ seed: 7, lengthMs: LENGTH_MS });
  expect(scheduleOf({ seed: 7, lengthMs: LENGTH_MS })).toEqual(first);
  expect(scheduleOf({ seed: 8, lengthMs: LENGTH_MS })).not.toEqual(first);
});

test('a longer schedule begins with the shorter one of the same seed', () => {
  const short = scheduleOf({ seed: 7, lengthMs: LENGTH_MS / 2 });
  const long = scheduleOf({ seed: 7, lengthMs: LENGTH_MS });
  expect(long.requests.slice(0, short.requests.length)).toEqual(short.requests);
  expect(long.faults.slice(0, short.faults.length)).toEqual(short.faults);
});

test('ten minutes contain every kind of request and of failure', () => {
  const { requests, faults } = scheduleOf({ seed: 7, lengthMs: 600_000 });
  const kinds = new Set(requests.map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual(['delete', 'index', 'pause', 'replay', 'set-key', 'upload']);
  const names = new Set<FaultName>(faults.map(({ fault }) => fault));
  expect(names.size).toBe(17);
});
