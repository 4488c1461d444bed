// Clock check for tasks that remove by age: they run only while this process's clock matches that of Redis.
// With a clock that is ahead by months they would remove data that is still needed.
import { MAX_SKEW_MS, type Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { runCommand, type Redis } from '../runtime/redis.ts';
import type { MaintenanceTask } from './scheduler.ts';

export interface ClockCheckDeps {
  readonly redis: Redis;
  readonly clock: Clock;
}

/** Wraps a task: it throws `CLOCK_SKEW` and does nothing while this clock and that of Redis differ by more than 60 s. */
export const whenClockIsRight = ({ redis, clock }: ClockCheckDeps, task: MaintenanceTask): MaintenanceTask => ({
  ...task,
  async run(signal) {
    const [seconds] = await runCommand(redis.time());
    if (Math.abs(Number(seconds) * 1000 - clock.now()) > MAX_SKEW_MS) throw new SealdexError('CLOCK_SKEW');
    return task.run(signal);
  },
});
