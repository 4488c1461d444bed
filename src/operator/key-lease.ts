// Key lease: only one caller at a time changes which tenants have a KMS key.
// Without it two concurrent callers would each miss the change of the other.
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
  /** Extends the lease by its full time. Returns false if it is lost. */
  renew(): Promise<boolean>;
  free(): Promise<void>;
}

/** Longer than all KMS calls of a key check take. */
const LEASE_MS = 60_000;

const POLL_INTERVAL_MS = 250;

/** @returns undefined if another caller has held it for `waitMs` */
export async function takeKeyLease(deps: KeyLeaseDeps, arn: string, waitMs = 0): Promise<KeyLease | undefined> {
  const { clock, redis, keys } = deps;
  const digest = createHash('sha256').update(arn).digest('hex').slice(0, 16);
  const until = clock.monotonic() + waitMs;
  for (;;) {
    const lease = await takeLease(redis, keys.lease(`set-key:${digest}`), LEASE_MS);
    // A lease that cannot be released expires.
    if (lease) return { renew: () => lease.renew(LEASE_MS), free: () => lease.free().catch(() => {}) };
    if (clock.monotonic() >= until) return undefined;
    await sleep(clock, POLL_INTERVAL_MS);
  }
}
