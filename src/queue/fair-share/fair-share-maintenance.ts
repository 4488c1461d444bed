// The upkeep of fair share, by one worker of the fleet: jobs that come back get fresh priorities, virtual time stays in its
// range, and tenants with nothing waiting are forgotten. Only when and by whom; each step is reprioritize.ts' or rebase.ts'.
import type { Clock, Timer } from '../../runtime/clock.ts';
import { takeLease, type Lease } from '../../runtime/lease.ts';
import type { Redis, QueueKeys } from '../../runtime/redis.ts';
import { rebase } from './rebase.ts';
import { BATCH_JOBS, forgetTenants, restampDue, sweepOutliers } from './reprioritize.ts';

const EVERY_MS = 1000;

/** Jobs due so soon are looked at: at least one look falls into it. */
const AHEAD_MS = 2 * EVERY_MS;

const LEASE_MS = 5000;

/** Batches of one step in one look; the rest has its turn a second later. */
const MOST_BATCHES = 100;

export interface FairUpkeep {
  tick(): Promise<void>;
  /** Resolves when nothing is under way. May be called twice. */
  stop(): Promise<void>;
}

export interface FairUpkeepDeps {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly onFault: (error: unknown) => void;
}

export function startFairUpkeep({ redis, keys, clock, onFault }: FairUpkeepDeps): FairUpkeep {
  let lease: Lease | undefined;
  let timer: Timer | undefined;
  let isStopped = false;
  let cursor = '0';
  let stopping: Promise<void> | undefined;

  const isOurs = async (): Promise<boolean> => {
    if (isStopped) return false;
    if (lease && !(await lease.renew(LEASE_MS))) lease = undefined;
    lease ??= await takeLease(redis, keys.fairLease, LEASE_MS);
    return lease !== undefined;
  };
  /** Until a batch has nothing more to do. */
  const inBatches = async (batch: (index: number) => Promise<boolean>): Promise<void> => {
    for (let index = 0; index < MOST_BATCHES && (await isOurs()); index += 1) {
      if (!(await batch(index))) return;
    }
  };
  const upkeep = async (): Promise<void> => {
    if (!(await isOurs())) return;
    const until = clock.now() + AHEAD_MS;
    await inBatches(async (index) => (await restampDue(redis, keys, until, index * BATCH_JOBS)) === BATCH_JOBS);
    await inBatches(() => rebase(redis, keys));
    await inBatches(async () => (await sweepOutliers(redis, keys)) === BATCH_JOBS);
    if (await isOurs()) cursor = await forgetTenants(redis, keys, cursor);
  };

  // One after the other: two that ask for the lease at once would take it from each other.
  let running: Promise<void> = Promise.resolve();
  const tick = (): Promise<void> => {
    const ticked = running.then(upkeep);
    running = ticked.catch(() => {});
    return ticked;
  };
  const look = async (): Promise<void> => {
    await tick().catch(onFault);
    if (!isStopped) timer = clock.after(EVERY_MS, () => void look());
  };
  const free = async (): Promise<void> => {
    await running;
    await lease?.free().catch(() => {});
    lease = undefined;
  };
  void look();
  return {
    tick,
    stop() {
      isStopped = true;
      timer?.cancel();
      return (stopping ??= free());
    },
  };
}
