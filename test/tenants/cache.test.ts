// The cache of tenants: its lifetime, and that every process receives a change or caches nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SealdexError } from '../../src/runtime/errors.ts';
import { readAll, type Store } from '../../src/store/store.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { cord, instance } from './fixture.ts';

let services: TestServices;

beforeAll(async () => {
  services = await testServices();
});
afterAll(() => services[Symbol.asyncDispose]());

const fileOf = (tenant: string, plan: string): Buffer =>
  Buffer.from(
    JSON.stringify({
      v: 1,
      tenant,
      plan,
      formerKeyArns: [],
      whenKeyShut: 'park',
      keepOriginals: false,
      blockedKeys: [],
      history: [],
    }),
  );

/** Changes a file without a message. */
const whisper = (store: Store, tenant: string, plan: string): Promise<unknown> =>
  store.put(`tenants/${tenant}.json`, fileOf(tenant, plan), {});

const reads = (): number => services.s3.requests.count({ method: 'GET', prefix: 'tenants/' });

/** The number of requests. */
async function costOf(call: () => Promise<unknown>): Promise<number> {
  const before = reads();
  await call();
  return reads() - before;
}

/** Responses of S3 that arrive only after `release()`, with the earlier content. */
function heldAnswers() {
  const held: (() => void)[] = [];
  let isHolding = false;
  return {
    hold: () => void (isHolding = true),
    waiting: () => held.length,
    /** The oldest comes last. */
    release() {
      isHolding = false;
      for (const go of held.splice(0).toReversed()) go();
    },
    store: (store: Store): Store => ({
      ...store,
      async get(key, options) {
        const found = await store.get(key, options);
        const bytes = found && (await readAll(found));
        if (isHolding) await new Promise<void>((resolve) => held.push(resolve));
        return (
          found &&
          bytes && {
            ...found,
            body: (async function* () {
              yield bytes;
            })(),
          }
        );
      },
    }),
  };
}

describe('a cached tenant', () => {
  it('is kept for five minutes and then read again', async () => {
    const clock = new FakeClock();
    await using one = await instance(services, { clock });
    await whisper(one.store, 'ttl', 'pro');
    expect(await costOf(() => one.tenants.get('ttl'))).toBe(1);
    clock.advance(299_999);
    expect(await costOf(() => one.tenants.get('ttl'))).toBe(0);
    await whisper(one.store, 'ttl', 'enterprise');
    clock.advance(1);
    expect(await one.tenants.get('ttl')).toMatchObject({ plan: 'enterprise' });
    expect(clock.pending).toBe(0);
  });

  it('is read once for any number of parallel callers', async () => {
    await using one = await instance(services);
    await one.tenants.put('flight', { plan: 'pro' });
    expect(await costOf(() => Promise.all(Array.from({ length: 100 }, () => one.tenants.get('flight'))))).toBe(1);
  });

  it('is not waited for by an aborted caller, and the others receive it', async () => {
    const answers = heldAnswers();
    await using one = await instance(services, { store: answers.store });
    await one.tenants.put('abort', { plan: 'pro' });
    answers.hold();
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    const first = one.tenants.get('abort', controller.signal).catch((error: unknown) => error);
    const second = one.tenants.get('abort');
    await eventually(() => answers.waiting() === 1);
    controller.abort(reason);
    expect(await first).toBe(reason);
    expect(await one.tenants.get('abort', controller.signal).catch((error: unknown) => error)).toBe(reason);
    answers.release();
    expect(await second).toMatchObject({ plan: 'pro' });
  });

  it('is not kept without a subscription to changes', async () => {
    await using one = await instance(services);
    await one.tenants.put('closed', { plan: 'pro' });
    await one.tenants.get('closed');
    one.tenants.close();
    expect(await costOf(() => one.tenants.get('closed'))).toBe(1);
    expect(await costOf(() => one.tenants.get('closed'))).toBe(1);
    expect(one.subscriber.listenerCount('message')).toBe(0);
  });
});

describe('a tenant that fails to be read', () => {
  it('is TENANT_UNKNOWN, and found from the moment its file exists', async () => {
    await using one = await instance(services);
    for (let n = 0; n < 2; n++)
      expect(await one.tenants.get('missing').catch((error: SealdexError) => error.code)).toBe('TENANT_UNKNOWN');
    await whisper(one.store, 'missing', 'pro');
    expect(await one.tenants.get('missing')).toMatchObject({ plan: 'pro' });
  });

  it('is read again for the next caller: an error is not cached', async () => {
    await using one = await instance(services);
    await one.store.put('tenants/mended.json', Buffer.from('{'), {});
    expect(await one.tenants.get('mended').catch((error: SealdexError) => error.code)).toBe('PLATFORM_TENANTS');
    await whisper(one.store, 'mended', 'pro');
    expect(await one.tenants.get('mended')).toMatchObject({ plan: 'pro' });
  });
});

describe('a change', () => {
  it('reaches every instance, which forgets this tenant and no other', async () => {
    await using one = await instance(services);
    await using two = await instance(services);
    await one.tenants.put('heard', { plan: 'pro' });
    await one.tenants.put('other', { plan: 'pro' });
    await eventually(async () => (await costOf(() => two.tenants.get('other'))) === 0);
    await two.tenants.get('heard');
    await one.tenants.put('heard', { plan: 'enterprise' });
    await eventually(async () => (await two.tenants.get('heard')).plan === 'enterprise');
    expect(await costOf(() => two.tenants.get('other'))).toBe(0);
  });

  it('during a read of the old file is not overwritten by that read', async () => {
    const answers = heldAnswers();
    await using one = await instance(services, { store: answers.store });
    await using two = await instance(services);
    await whisper(two.store, 'way', 'pro');
    let received = 0;
    one.subscriber.on('message', () => (received += 1));
    answers.hold();
    const old = one.tenants.get('way');
    await eventually(() => answers.waiting() === 1);
    await two.tenants.put('way', { plan: 'enterprise' });
    await eventually(() => received > 0);
    const late = one.tenants.get('way');
    await eventually(() => answers.waiting() === 2);
    answers.release();
    expect([(await old).plan, (await late).plan]).toEqual(['pro', 'enterprise']);
    expect(await one.tenants.get('way')).toMatchObject({ plan: 'enterprise' });
  });

  it('during a lost connection is seen: all is forgotten when the connection is lost', async () => {
    await using one = await instance(services);
    const id = Number(
      /id=(\d+)/.exec(
        String(await one.redis.client('LIST', 'TYPE', 'PUBSUB'))
          .split('\n')
          .find((line) => line.includes(`laddr=`) && line.includes(`addr=${localAddress(one.subscriber)}`)) ?? '',
      )?.[1],
    );
    await one.tenants.put('killed', { plan: 'pro' });
    await eventually(async () => (await costOf(() => one.tenants.get('killed'))) === 0);
    await whisper(one.store, 'killed', 'enterprise');
    expect(await one.redis.client('KILL', 'ID', id)).toBe(1);
    await eventually(async () => (await one.tenants.get('killed')).plan === 'enterprise');
  });

  it('during a disconnection is seen: nothing is cached while disconnected', async () => {
    await using wire = await cord(services.redisUrl);
    await using one = await instance(services, { subscribeAt: wire.url });
    await using two = await instance(services);
    await whisper(two.store, 'away', 'pro');
    await eventually(async () => (await costOf(() => one.tenants.get('away'))) === 0);
    wire.cut();
    await eventually(() => one.subscriber.status !== 'ready');
    expect(await costOf(() => one.tenants.get('away'))).toBe(1);
    expect(await costOf(() => one.tenants.get('away'))).toBe(1);
    await two.tenants.put('away', { plan: 'enterprise' });
    expect((await one.tenants.get('away')).plan).toBe('enterprise');
    wire.reconnect();
    await eventually(async () => (await costOf(() => one.tenants.get('away'))) === 0);
    await two.tenants.put('away', { plan: 'free' });
    await eventually(async () => (await one.tenants.get('away')).plan === 'free');
  });

  it('not written is not published', async () => {
    await using one = await instance(services);
    await using two = await instance(services);
    await one.tenants.put('silent', { plan: 'pro' });
    await eventually(async () => (await costOf(() => two.tenants.get('silent'))) === 0);
    const arn = 'arn:aws:kms:us-west-2:111122223333:key/1';
    await expect(one.tenants.put('silent', { plan: 'pro', kmsKeyArn: arn })).rejects.toMatchObject({
      code: 'TENANT_KEY_INVALID',
    });
    // The next message published is the next one received.
    await one.tenants.put('silent-2', { plan: 'pro' });
    await eventually(async () => (await costOf(() => two.tenants.get('silent-2'))) === 0);
    expect(await costOf(() => two.tenants.get('silent'))).toBe(0);
  });
});

const localAddress = (redis: { stream: unknown }): string => {
  const { localAddress, localPort } = redis.stream as { localAddress: string; localPort: number };
  return `${localAddress}:${localPort}`;
};
