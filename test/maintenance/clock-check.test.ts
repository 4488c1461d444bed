// Removal by age needs a correct clock.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fleetTasks } from '../../src/app/fleet-tasks.ts';
import { whenClockIsRight } from '../../src/maintenance/clock-check.ts';
import type { MaintenanceTask } from '../../src/maintenance/scheduler.ts';
import { FakeClock } from '../support/clock.ts';
import { openMaintenanceFixture, type MaintenanceFixture } from './fixture.ts';

let fixture: MaintenanceFixture;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

const MINUTE = 60_000;

const outcomeOf = (task: MaintenanceTask): Promise<string> =>
  task.run(new AbortController().signal).then(
    () => 'done',
    (error: unknown) => String((error as { code?: unknown }).code),
  );

async function endOf(skewMs: number): Promise<string> {
  let runs = 0;
  const run = async (): Promise<void> => void (runs += 1);
  const task = whenClockIsRight(
    { redis: fixture.redis, clock: new FakeClock(Date.now() + skewMs) },
    { name: 'c', everyMs: 1, run },
  );
  return `${await outcomeOf(task)} ${runs}`;
}

test.each([
  [0, 'done 1'],
  [MINUTE / 2, 'done 1'],
  [-MINUTE / 2, 'done 1'],
  [2 * MINUTE, 'CLOCK_SKEW 0'],
  [-2 * MINUTE, 'CLOCK_SKEW 0'],
  [365 * 24 * 60 * MINUTE, 'CLOCK_SKEW 0'],
])('a clock %d ms off gives this result: %s', async (skewMs, end) => {
  expect(await endOf(skewMs)).toBe(end);
});

test('the sweeps and the removal of old dead letters depend on the clock, and other tasks do not', async () => {
  const clock = new FakeClock(Date.now() + 2 * MINUTE);
  const ends: Record<string, string> = {};
  for (const task of fleetTasks(
    { ...fixture.deps, clock, restartStalled: async () => false },
    fixture.queue,
    () => [],
  )) {
    ends[task.name] = await outcomeOf(task);
  }
  const late = Object.keys(ends).filter((name) => ends[name] === 'CLOCK_SKEW');
  expect(late.toSorted()).toEqual(['intake-sweep', 'old-letters', 'tombstone-sweep']);
});
