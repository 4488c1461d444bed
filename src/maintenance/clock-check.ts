// Chores that remove what is too old: only while this process's clock is right, as far as Redis can tell.
// A clock that runs ahead by months would take what others still need. What a chore removes is its own file's business.
import { MAX_SKEW_MS, type Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { runCommand, type Redis } from '../runtime/redis.ts';
import type { MaintenanceTask } from './scheduler.ts';

export interface ClockCheckDeps {
  readonly redis: Redis;
  readonly clock: Clock;
}

/** The chore, which throws `CLOCK_SKEW` and does nothing while this clock and Redis' are more than 60 s apart. */
export const whenClockIsRight = ({ redis, clock }: ClockCheckDeps, chore: MaintenanceTask): MaintenanceTask => ({
  ...chore,
  async run(signal) {
    const [seconds] = await runCommand(redis.time());
    if (Math.abs(Number(seconds) * 1000 - clock.now()) > MAX_SKEW_MS) throw new SealdexError('CLOCK_SKEW');
    return chore.run(signal);
  },
});
