// What all sweeps need, and the first question of each: is this still the Redis that the bucket belongs to?
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

/** The birth of this Redis; undefined, and said once per sweep, when it may not be the one that the bucket belongs to. */
export async function birthOf(deps: SweepDeps, signal: AbortSignal): Promise<RedisIdentity | undefined> {
  const birth = await matchingRedisIdentity({ ...deps, queue: deps.config.queue }, signal);
  if (!birth) deps.log.error({}, 'sweep skipped: Redis does not match the bucket');
  return birth;
}
