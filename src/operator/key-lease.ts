// Which tenants have a KMS key is changed by one caller at a time: two that look at once would each miss what the other does.
// What they do is not known here.
import { createHash } from 'node:crypto';
import { sleep, type Clock } from '../runtime/clock.ts';
import { takeLease } from '../runtime/lease.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';

export interface KeyLeaseDeps {
  readonly clock: Clock;
  readonly redis: Redis;
  readonly keys: RedisKeys;
}

export interface KeyLease {
  /** Keeps it for as long again. Answers whether it is still ours. */
  renew(): Promise<boolean>;
  free(): Promise<void>;
}

/** Longer than KMS takes to answer all that it is asked of a key. */
const LEASE_MS = 60_000;

const LOOK_MS = 250;

/** @returns undefined when somebody else has it, and had it for `waitMs` */
export async function takeKeyLease(deps: KeyLeaseDeps, arn: string, waitMs = 0): Promise<KeyLease | undefined> {
  const { clock, redis, keys } = deps;
  const digest = createHash('sha256').update(arn).digest('hex').slice(0, 16);
  const until = clock.monotonic() + waitMs;
  for (;;) {
    const lease = await takeLease(redis, keys.lease(`set-key:${digest}`), LEASE_MS);
    // What cannot be given back runs out.
    if (lease) return { renew: () => lease.renew(LEASE_MS), free: () => lease.free().catch(() => {}) };
    if (clock.monotonic() >= until) return undefined;
    await sleep(clock, LOOK_MS);
  }
}
