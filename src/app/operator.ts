// Operator: opens it from settings. Separate from app.ts, so that commands do not load worker, producer and reader.
import { createOperatorFrom, type Operator } from '../operator/operator.ts';
import { openQueue } from '../queue/bull/queues.ts';
import { createReencryption } from '../reencryption/reencryption.ts';
import type { Settings } from '../runtime/config.ts';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import { redisKeys } from '../runtime/redis.ts';
import { readFloor } from '../store/revision-floor.ts';
import type { OpenOptions } from './open-options.ts';
import { AWS_ON_FIRST_CALL } from './aws.ts';
import { probing } from './probing.ts';
import { openResources } from './resources.ts';

export type { Operator };

/** Options of createOperator. */
export interface OperatorOptions extends OpenOptions {
  /** Registry of the host application for the sealdex metrics; a worker may share it. A registry of its own by default. */
  readonly registry?: MetricsRegistry;
}

/**
 * Opens an operator, which does what the command line does with tenants, keys, parked jobs and dead letters. Settings take
 * precedence over the environment.
 * @throws SealdexError `CONFIG_INVALID` with every invalid setting; `REDIS_FAILED` within about 1 s if Redis cannot be reached
 */
export function createOperator(settings?: Settings, options: OperatorOptions = {}): Promise<Operator> {
  return openResources(
    settings,
    'prompt',
    async (resources, stack) => {
      const { config, clock, log, metrics, redis, store, tenants, audit, identity } = resources;
      const { gates } = resources.keyAccess;
      const queue = stack.add(
        openQueue(config, redis, clock, () => readFloor(store, config.queue, clock)),
        (opened) => opened.close(),
      );
      const keys = redisKeys(config.queue);
      const shared = { queueName: config.queue, keys, queue, clock, redis, store, tenants };
      // Complete listings of a tenant, and whole objects, take longer than a command waits for one response.
      const patient = stack.add(AWS_ON_FIRST_CALL.createStore(config, 'patient'), (opened) => opened.close());
      const operator = createOperatorFrom({
        ...shared,
        config,
        gates,
        audit,
        recovery: { ...shared, config, log, metrics, store: patient },
        offboarding: { config, clock, redis, keys, tenants, gates, store: patient, identity },
        probing: probing(resources),
        identity,
        reencryption: createReencryption(shared),
        keyCalls: stack.add(AWS_ON_FIRST_CALL.createKeyCalls(config, audit, metrics), (opened) => opened.close()),
      });
      return { ...operator, [Symbol.asyncDispose]: () => stack.release() };
    },
    { ...options, aws: AWS_ON_FIRST_CALL },
  );
}
