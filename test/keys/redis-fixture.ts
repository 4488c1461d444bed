// Key rings on the double of the KMS with data keys shared in a real Redis.
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { closeRedis, openRedis } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { MemoryKms } from '../support/memory-kms.ts';
import { memorySharedKeys } from '../support/memory-shared-keys.ts';
import { removeKeys, testRedisUrl } from '../support/redis.ts';
import { openRing, fixtureOf, type OneRing, type RingOptions, type Fixture } from './fixture.ts';

export type RedisRing = OneRing & { readonly redis: Redis };

export interface RedisFixture extends Fixture {
  readonly config: { readonly redisUrl: string; readonly queue: string };
  /** `redisUrl`: another route to the same Redis. */
  open(options?: RingOptions & { readonly redisUrl?: string }): Promise<RedisRing>;
}

export async function openRedisFixture(): Promise<RedisFixture> {
  const config = { redisUrl: testRedisUrl(), queue: `t-${randomBytes(6).toString('hex')}` };
  const opened = new DisposableStack();
  const kms = new MemoryKms();
  const fixture = fixtureOf(kms, kms.platformKeyArn, { connect: () => kms.connect(), shared: memorySharedKeys() });
  return {
    ...fixture,
    config,
    async open({ redisUrl = config.redisUrl, use = 'patient', clock = new FakeClock(), kms: own, ...options } = {}) {
      const redis = opened.adopt(await openRedis({ redisUrl }, use), closeRedis);
      const shared = createSharedKeys(redis, config.queue, clock);
      const one = openRing(own ?? kms.connect(), shared, { use, clock, ...options });
      opened.defer(() => {
        one.ring.close();
        one.kms.close();
      });
      return { ...one, redis };
    },
    async [Symbol.asyncDispose]() {
      kms.faults.clear();
      opened.dispose();
      await removeKeys(config.redisUrl, `sealdex:{${config.queue}}`);
    },
  };
}
