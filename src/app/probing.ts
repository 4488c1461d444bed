// How gates are probed, tied together: by the worker's loop and at the operator's word, with the same eyes.
// When a gate is due, and what a probe does to it, is src/parking's business.
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { ProbingDeps } from '../parking/probe.ts';
import { redisKeys, type Redis } from '../runtime/redis.ts';
import { operatorStopOf, type Tenant, type Tenants } from '../tenants/tenants.ts';
import type { Guard } from './key-access.ts';

export interface Probing {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly redis: Redis;
  readonly tenants: Tenants;
  readonly guard: Guard;
}

export function probing(rooms: Probing): ProbingDeps {
  const { config, clock, metrics, redis, tenants, guard } = rooms;
  const ownerOf = async (tenant: string): Promise<Tenant | undefined> => {
    try {
      return await tenants.fresh(tenant);
    } catch (error) {
      if (error instanceof SealdexError && error.code === 'TENANT_UNKNOWN') return undefined;
      throw error;
    }
  };
  return {
    gates: guard.gates,
    redis,
    keys: redisKeys(config.queue),
    clock,
    metrics,
    times: config,
    ownerOf,
    async operatorStopOf(tenant, keyArn) {
      const owner = await ownerOf(tenant);
      return owner && operatorStopOf(owner, keyArn);
    },
    tryKey: guard.tryKey,
    platformKeyWorks: guard.platformKeyWorks,
  };
}
