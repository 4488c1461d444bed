// Fair-share maintenance: one worker of the fleet gives returning jobs new priorities, keeps virtual time in its range,
// and deletes the state of tenants without waiting jobs.
import type { Clock, Timer } from '../../runtime/clock.ts';
import { takeLease, type Lease } from '../../runtime/lease.ts';
import type { Redis, QueueKeys } from '../../runtime/redis.ts';
import { rebase } from './rebase.ts';
import { BATCH_JOBS, forgetTenants, reprioritizeDue, sweepOutliers } from './reprioritize.ts';

const EVERY_MS = 1000;

/** Delayed jobs that are due within this time get new priorities; at least one tick falls into it. */
const AHEAD_MS = 2 * EVERY_MS;

const LEASE_MS = 5000;

/** Maximum batches of one step per tick; the rest follows one second later. */
const MAX_BATCHES = 100;

export interface FairShareLoop {
  tick(): Promise<void>;
  /** Resolves when no tick is running. May be called twice. */
  stop(): Promise<void>;
}

export interface FairShareLoopDeps {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly onFault: (error: unknown) => void;
}

export function startFairShareLoop({ redis, keys, clock, onFault }: FairShareLoopDeps): FairShareLoop {
  let lease: Lease | undefined;
  let timer: Timer | undefined;
  let isStopped = false;
  let cursor = '0';
  let stopping: Promise<void> | undefined;

  const holdsLease = async (): Promise<boolean> => {
    if (isStopped) return false;
    if (lease && !(await lease.renew(LEASE_MS))) lease = undefined;
    lease ??= await takeLease(redis, keys.fairLease, LEASE_MS);
    return lease !== undefined;
  };
  /** Repeats the batch until it returns false. */
  const inBatches = async (batch: (index: number) => Promise<boolean>): Promise<void> => {
    for (let index = 0; index < MAX_BATCHES && (await holdsLease()); index += 1) {
      if (!(await batch(index))) return;
    }
  };
  const maintain = async (): Promise<void> => {
    if (!(await holdsLease())) return;
    const until = clock.now() + AHEAD_MS;
    await inBatches(async (index) => (await reprioritizeDue(redis, keys, until, index * BATCH_JOBS)) === BATCH_JOBS);
    await inBatches(() => rebase(redis, keys));
    await inBatches(async () => (await sweepOutliers(redis, keys)) === BATCH_JOBS);
    if (await holdsLease()) cursor = await forgetTenants(redis, keys, cursor);
  };

  // Sequentially: two concurrent ticks would take the lease from each other.
  let running: Promise<void> = Promise.resolve();
  const tick = (): Promise<void> => {
    const ticked = running.then(maintain);
    running = ticked.catch(() => {});
    return ticked;
  };
  const runTick = async (): Promise<void> => {
    await tick().catch(onFault);
    if (!isStopped) timer = clock.after(EVERY_MS, () => void runTick());
  };
  const free = async (): Promise<void> => {
    await running;
    await lease?.free().catch(() => {});
    lease = undefined;
  };
  void runTick();
  return {
    tick,
    stop() {
      isStopped = true;
      timer?.cancel();
      return (stopping ??= free());
    },
  };
}
