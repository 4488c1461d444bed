// Common parts of sweeps: their dependencies, and the check that Redis still belongs to the bucket.
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';
import type { Store } from '../store/store.ts';
import { matchingRedisIdentity, type RedisIdentity } from './redis-identity.ts';

export interface SweepDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly store: Store;
}

export const DAY_MS = 86_400_000;

/** Returns the Redis identity; logs an error and returns undefined if this may not be the Redis of the bucket. */
export async function redisIdentityOf(deps: SweepDeps, signal: AbortSignal): Promise<RedisIdentity | undefined> {
  const identity = await matchingRedisIdentity({ ...deps, queue: deps.config.queue }, signal);
  if (!identity) deps.log.error({}, 'sweep skipped: Redis does not match the bucket');
  return identity;
}
