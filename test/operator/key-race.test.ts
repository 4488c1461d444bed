// A KMS key blocked during its attachment, and a check that outlives its lease: no tenant ends with a blocked key.
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createOperator, type Operator } from '../../src/app/app.ts';
import type { OwnerBlocked } from '../../src/operator/block-key-tenants.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';

const opened = new AsyncDisposableStack();
let services: TestServices;
let operator: Operator;
let other: Operator;
let redis: Redis;
let arn: string;
let [owner, newcomer] = ['', ''];
let count = 0;

beforeAll(async () => {
  services = opened.use(await testServices());
  operator = opened.use(await createOperator(services.settings));
  other = opened.use(await createOperator(services.settings));
  redis = opened.adopt(new Redis(services.redisUrl), (each) => each.disconnect());
});
afterAll(() => opened.disposeAsync());

beforeEach(async () => {
  count += 1;
  [owner, newcomer] = [`owner-${count}`, `newcomer-${count}`];
  arn = services.kms.createKey();
  await operator.putTenant(owner, { plan: 'pro', kmsKeyArn: arn });
  await operator.putTenant(newcomer, { plan: 'pro' });
});
afterEach(() => {
  services.kms.faults.clear();
  services.s3.faults.clear();
});

/** As if a process was frozen for longer than the lease. */
async function loseLease(): Promise<void> {
  const leases = await redis.keys(`${redisKeys(String(services.settings.SEALDEX_QUEUE)).lease('set-key:')}*`);
  expect(leases).toHaveLength(1);
  await redis.del(leases);
}

const attachShared = () => operator.setKey(newcomer, arn, { shared: true });

const refusal = (code: string, explanation: RegExp) => ({
  code,
  message: expect.stringMatching(explanation) as string,
});

const blockedFor = (results: readonly OwnerBlocked[]): string[] => results.map(({ tenant }) => tenant);

const isBlocked = async (tenant: string): Promise<boolean> =>
  (await operator.tenant(tenant)).blockedKeys.some((each) => each.arn === arn);

describe('a key blocked during its attachment', () => {
  test('is blocked for its new tenant too', async () => {
    const match = { method: 'PUT', prefix: `tenants/${newcomer}.json` };
    const hang = services.s3.faults.set({ match, fault: { kind: 'hang' } });
    const attached = attachShared();
    await eventually(() => hang.waiting > 0);
    const blocking = other.blockOwners(arn, 'leaked');
    // An incident is not delayed by the check.
    expect(await blocking.next()).toMatchObject({ value: { tenant: owner, change: { changed: true } } });
    expect(await isBlocked(owner)).toBe(true);
    hang.clear();
    expect(await attached).toMatchObject({ changed: true });
    expect(blockedFor(await Array.fromAsync(blocking))).toEqual([newcomer]);
    expect(await isBlocked(newcomer)).toBe(true);
  });

  test('is rejected for the tenant if it was blocked before the check ended', async () => {
    const hang = services.kms.faults.set({ match: { key: arn, operation: 'Encrypt' }, fault: { kind: 'hang' } });
    const attached = attachShared();
    await eventually(() => hang.waiting > 0);
    const blocking = other.blockOwners(arn, 'leaked');
    await blocking.next();
    hang.clear();
    await expect(attached).rejects.toMatchObject(refusal('TENANT_KEY_INVALID', /The key is blocked for/));
    expect(blockedFor(await Array.fromAsync(blocking))).toEqual([]);
  });

  test('cannot be attached until the block is complete', async () => {
    const blocking = other.blockOwners(arn, 'leaked');
    await blocking.next();
    await expect(attachShared()).rejects.toMatchObject(
      refusal('TENANT_CHANGED', /^Another command is attaching or blocking/),
    );
    expect(blockedFor(await Array.fromAsync(blocking))).toEqual([]);
  });
});

test('a block with a lost lease blocks all tenants found, and reports that it must be repeated', async () => {
  await operator.setKey(newcomer, arn, { shared: true });
  const blocking = other.blockOwners(arn, 'leaked');
  await blocking.next();
  await loseLease();
  await blocking.next();
  await expect(blocking.next()).rejects.toMatchObject(refusal('TENANT_CHANGED', /Run the command again\.$/));
  expect(await Promise.all([owner, newcomer].map(isBlocked))).toEqual([true, true]);
});

test('a key blocked for one tenant is not attached to another, shared or not', async () => {
  await operator.block(owner, arn, 'leaked');
  await expect(attachShared()).rejects.toMatchObject(
    refusal(
      'TENANT_KEY_INVALID',
      new RegExp(`The key is blocked for: ${owner}\\. To unblock: sealdex keys unblock ${arn}$`),
    ),
  );
  await operator.unblock(owner, arn);
  expect(await attachShared()).toMatchObject({ changed: true });
});

test('a check with a lost lease attaches nothing', async () => {
  const hang = services.kms.faults.set({ match: { key: arn, operation: 'Encrypt' }, fault: { kind: 'hang' } });
  const attached = attachShared();
  await eventually(() => hang.waiting > 0);
  await loseLease();
  hang.clear();
  await expect(attached).rejects.toMatchObject(refusal('TENANT_CHANGED', /its lock expired\. Try again\.$/));
  expect((await operator.tenant(newcomer)).kmsKeyArn).toBeUndefined();
});
