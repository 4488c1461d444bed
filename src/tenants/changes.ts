// Port that announces changed tenants to all processes, and its adapter, a channel in Redis.
import { withDeadline, type Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { runCommand, redisKeys, type Redis } from '../runtime/redis.ts';

const SUBSCRIBE_MS = 10_000;

interface Subscription {
  /** True if a change would be received now. Otherwise nothing may be cached. */
  isOn(): boolean;
  stop(): void;
}

export interface TenantChangeListener {
  readonly onChange: (tenant: string) => void;
  /** Changes may have been missed: called each time a subscription starts or ends. */
  readonly onGap: () => void;
}

export interface TenantChanges {
  /** Announces a change to all processes, including this one. @throws SealdexError `REDIS_FAILED` */
  publish(tenant: string): Promise<void>;
  /** Resolves when changes are received. @throws SealdexError `REDIS_FAILED` */
  subscribe(listener: TenantChangeListener): Promise<Subscription>;
}

export interface TenantChangesDeps {
  readonly redis: Redis;
  /** A separate connection: one with a subscription runs no other commands. */
  readonly subscriber: Redis;
  readonly queue: string;
  readonly clock: Clock;
}

export function createTenantChanges({ redis, subscriber, queue, clock }: TenantChangesDeps): TenantChanges {
  const channel = redisKeys(queue).tenantChanged;
  return {
    async publish(tenant) {
      await runCommand(redis.publish(channel, tenant));
    },
    subscribe: (listener) => subscribeTo(channel, subscriber, clock, listener),
  };
}

/** Changes published while the connection is lost are not delivered later. */
async function subscribeTo(
  channel: string,
  subscriber: Redis,
  clock: Clock,
  { onChange, onGap }: TenantChangeListener,
): Promise<Subscription> {
  let isOn = false;
  let connection = 0;
  const onMessage = (from: string, tenant: string): void => {
    if (from === channel) onChange(tenant);
  };
  const onClose = (): void => {
    connection += 1;
    isOn = false;
    onGap();
  };
  const subscribe = async (): Promise<void> => {
    const mine = connection;
    await runCommand(subscriber.subscribe(channel));
    // Changes are received from the response on, not from the connection on.
    if (mine !== connection) return;
    isOn = true;
    onGap();
  };
  // A subscription that fails here ended with its connection: the next connection tries again.
  const onReady = (): void => void subscribe().catch(() => {});
  const stop = (): void => {
    subscriber.off('message', onMessage).off('close', onClose).off('ready', onReady);
    onClose();
  };
  subscriber.on('message', onMessage).on('close', onClose).on('ready', onReady);
  const late = (): Error => new SealdexError('REDIS_FAILED', undefined, { reason: 'TimeoutError' });
  try {
    await withDeadline(clock, SUBSCRIBE_MS, subscribe(), late);
  } catch (error) {
    stop();
    throw error;
  }
  return { isOn: () => isOn, stop };
}
