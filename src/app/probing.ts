// Probing dependencies: shared by the worker's probe loop and the operator's probe command.
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { ProbingDeps } from '../parking/probe.ts';
import { redisKeys, type Redis } from '../runtime/redis.ts';
import { operatorStopOf, type Tenant, type Tenants } from '../tenants/tenants.ts';
import type { KeyAccess } from './key-access.ts';

export interface Probing {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly redis: Redis;
  readonly tenants: Tenants;
  readonly keyAccess: KeyAccess;
}

export function probing(resources: Probing): ProbingDeps {
  const { config, clock, metrics, redis, tenants, keyAccess } = resources;
  const ownerOf = async (tenant: string): Promise<Tenant | undefined> => {
    try {
      return await tenants.fresh(tenant);
    } catch (error) {
      if (error instanceof SealdexError && error.code === 'TENANT_UNKNOWN') return undefined;
      throw error;
    }
  };
  return {
    gates: keyAccess.gates,
    redis,
    keys: redisKeys(config.queue),
    clock,
    metrics,
    times: config,
    ownerOf,
    async operatorStopOf({ tenant, keyArn }) {
      const owner = await ownerOf(tenant);
      return owner && operatorStopOf(owner, keyArn);
    },
    tryKey: keyAccess.tryKey,
    platformKeyWorks: keyAccess.platformKeyWorks,
  };
}
