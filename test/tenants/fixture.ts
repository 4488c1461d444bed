// Instances of the tenants module, each with Redis connections of its own as a process has them, which a test can cut.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { loadConfig, type Config } from '../../src/runtime/config.ts';
import { closeRedis, openRedis, type Redis } from '../../src/runtime/redis.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import type { Store } from '../../src/store/store.ts';
import { createTenantChanges } from '../../src/tenants/changes.ts';
import { createTenants, type Tenants } from '../../src/tenants/tenants.ts';
import type { TestServices } from '../support/services.ts';

export interface Instance extends AsyncDisposable {
  readonly tenants: Tenants;
  readonly store: Store;
  readonly redis: Redis;
  readonly subscriber: Redis;
}

export interface InstanceOptions {
  readonly clock?: Clock;
  readonly store?: (store: Store) => Store;
  readonly config?: Partial<Config>;
  /** The address for its subscriber, if not Redis itself. */
  readonly subscribeAt?: string;
}

export async function instance(
  services: TestServices,
  { clock = systemClock, store: wrap = (same) => same, config: over = {}, subscribeAt }: InstanceOptions = {},
): Promise<Instance> {
  const config = { ...loadConfig(services.settings, {}), ...over };
  const real = createStore(config, 'patient');
  const redis = await openRedis(config, 'patient');
  const subscriber = await openRedis({ redisUrl: subscribeAt ?? config.redisUrl }, 'subscriber');
  const store = wrap(real);
  const changes = createTenantChanges({ redis, subscriber, queue: config.queue, clock });
  const tenants = await createTenants({ config, clock, store, changes, audit: noAudit });
  return {
    tenants,
    store,
    redis,
    subscriber,
    async [Symbol.asyncDispose]() {
      tenants.close();
      tenants.close();
      closeRedis(subscriber);
      closeRedis(redis);
      real.close();
      await Promise.resolve();
    },
  };
}

export interface Cord extends AsyncDisposable {
  readonly url: string;
  /** Cuts every connection and rejects new ones, until `reconnect()`. */
  cut(): void;
  reconnect(): void;
}

/** A route to Redis that can be cut. */
export async function cord(redisUrl: string): Promise<Cord> {
  const { hostname, port } = new URL(redisUrl);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.destroy();
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => {});
      one.on('close', () => (sockets.delete(one), other.destroy()));
    }
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    reconnect: () => void (isCut = false),
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
