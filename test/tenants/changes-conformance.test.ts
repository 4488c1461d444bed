// The common behavior of the port for tenant changes: the adapter over Redis and the double in memory pass the same tests.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { closeRedis, openRedis } from '../../src/runtime/redis.ts';
import { createTenantChanges, type TenantChanges } from '../../src/tenants/changes.ts';
import { eventually } from '../support/eventually.ts';
import { memoryTenantChanges } from '../support/memory-tenant-changes.ts';
import { testRedisUrl } from '../support/redis.ts';

/** One queue's changes and the processes that share them. */
interface Setup extends AsyncDisposable {
  /** The port as one process has it. */
  connect(): Promise<TenantChanges>;
}

function memorySetup(): Setup {
  const changes = memoryTenantChanges();
  return { connect: async () => changes, [Symbol.asyncDispose]: async () => {} };
}

function redisSetup(): Setup {
  const opened = new AsyncDisposableStack();
  const queue = `t-${randomBytes(6).toString('hex')}`;
  const open = async (use: 'patient' | 'subscriber') =>
    opened.adopt(await openRedis({ redisUrl: testRedisUrl() }, use), closeRedis);
  return {
    connect: async () =>
      createTenantChanges({
        redis: await open('patient'),
        subscriber: await open('subscriber'),
        queue,
        clock: systemClock,
      }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

describe.each([
  ['the adapter over Redis', redisSetup],
  ['the double in memory', memorySetup],
])('%s', (_, open) => {
  let setup: Setup;
  beforeAll(() => {
    setup = open();
  });
  afterAll(() => setup[Symbol.asyncDispose]());

  async function subscribed() {
    const changes = await setup.connect();
    const received: string[] = [];
    let gaps = 0;
    const listener = { onChange: (tenant: string) => void received.push(tenant), onGap: () => void (gaps += 1) };
    const subscription = await changes.subscribe(listener);
    return { changes, received, subscription, gaps: () => gaps };
  }

  test('delivers a change to every subscriber, its publisher included', async () => {
    const [one, other] = [await subscribed(), await subscribed()];
    await one.changes.publish('acme');
    await other.changes.publish('globex');
    for (const { received } of [one, other]) {
      await eventually(() => received.length === 2);
      expect(received.toSorted()).toEqual(['acme', 'globex']);
    }
    one.subscription.stop();
    other.subscription.stop();
  });

  test('reports a gap when a subscription begins and when it ends', async () => {
    const { subscription, gaps } = await subscribed();
    expect([subscription.isOn(), gaps()]).toEqual([true, 1]);
    subscription.stop();
    expect([subscription.isOn(), gaps()]).toEqual([false, 2]);
  });

  test('delivers nothing after stop()', async () => {
    const [stopped, other] = [await subscribed(), await subscribed()];
    stopped.subscription.stop();
    await other.changes.publish('acme');
    await eventually(() => other.received.length === 1);
    expect(stopped.received).toEqual([]);
    other.subscription.stop();
  });

  test('publishes without a subscriber', async () => {
    const changes = await setup.connect();
    await expect(changes.publish('acme')).resolves.toBeUndefined();
  });
});
