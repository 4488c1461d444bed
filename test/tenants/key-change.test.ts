// A tenant's KMS key is changed: the content of its file, parallel changes, and rejected ones.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SealdexError } from '../../src/runtime/errors.ts';
import type { Store } from '../../src/store/store.ts';
import type { KeyChange } from '../../src/tenants/key-change.ts';
import { PLATFORM } from '../../src/runtime/names.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { instance, type Instance } from './fixture.ts';

const arn = (digit: string): string =>
  `arn:aws:kms:us-west-2:111122223333:key/${'11111111-1111-1111-1111-111111111111'.replaceAll('1', digit)}`;
const [ONE, TWO, THREE, OLD_PLATFORM] = [arn('1'), arn('2'), arn('3'), arn('9')];

const opened = new AsyncDisposableStack();
let services: TestServices;
let here: Instance;
let there: Instance;
let platformArn: string;
let tenant: string;
let count = 0;

beforeAll(async () => {
  services = opened.use(await testServices());
  platformArn = String(services.settings.SEALDEX_PLATFORM_KEY_ARN);
  const config = { platformFormerKeyArns: [OLD_PLATFORM] };
  here = opened.use(await instance(services, { config }));
  there = opened.use(await instance(services, { config }));
});
afterAll(() => opened.disposeAsync());
beforeEach(() => {
  tenant = `tenant-${(count += 1)}`;
});

function change(from: string, to: string): { key: KeyChange } {
  const id = randomBytes(8).toString('hex');
  const entry = { change: 'key', id, at: 1_700_000_000_000, operator: 'arn:aws:iam::111122223333:user/ann', from, to };
  return { key: { entry: { ...entry, change: 'key' }, platformArns: new Set([platformArn, OLD_PLATFORM]) } };
}

const faultOf = (call: Promise<unknown>): Promise<SealdexError> =>
  call.then(
    () => Promise.reject(new Error('The call did not fail.')),
    (error: SealdexError) => error,
  );

test('the former key is kept for reading, and the history has the user and the time', async () => {
  await here.tenants.put(tenant, { plan: 'pro', kmsKeyArn: ONE });
  const toTwo = change(ONE, TWO);
  const { file } = await here.tenants.put(tenant, toTwo);
  expect(file).toMatchObject({ kmsKeyArn: TWO, formerKeyArns: [ONE], history: [toTwo.key.entry] });
  expect(await here.tenants.show(tenant)).toEqual(file);
});

test('another process serves the tenant by the new key and reads what is under the former one', async () => {
  await here.tenants.put(tenant, { plan: 'pro', kmsKeyArn: ONE });
  expect((await there.tenants.get(tenant)).keyArn).toBe(ONE);
  await here.tenants.put(tenant, change(ONE, TWO));
  await expect.poll(async () => (await there.tenants.get(tenant)).keyArn).toBe(TWO);
  expect((await there.tenants.get(tenant)).readableArns).toEqual(new Set([TWO, ONE]));
});

test('a tenant with its first own key still reads data under every platform key', async () => {
  await here.tenants.put(tenant, { plan: 'pro' });
  const { file } = await here.tenants.put(tenant, change(PLATFORM, ONE));
  expect(file).toMatchObject({ kmsKeyArn: ONE, formerKeyArns: [platformArn, OLD_PLATFORM] });
});

test('a tenant back on the platform key keeps its own as a former one', async () => {
  await here.tenants.put(tenant, { plan: 'pro', kmsKeyArn: ONE });
  const { file } = await here.tenants.put(tenant, change(ONE, PLATFORM));
  expect(file).not.toHaveProperty('kmsKeyArn');
  expect(file.formerKeyArns).toEqual([ONE]);
  const now = await here.tenants.fresh(tenant);
  expect(now.keyArn).toBe(platformArn);
  expect(now.readableArns).toEqual(new Set([platformArn, OLD_PLATFORM, ONE]));
});

test('a former key that becomes the current one is removed from the former ones', async () => {
  await here.tenants.put(tenant, { plan: 'pro', kmsKeyArn: ONE });
  await here.tenants.put(tenant, change(ONE, TWO));
  const { file } = await here.tenants.put(tenant, change(TWO, ONE));
  expect(file).toMatchObject({ kmsKeyArn: ONE, formerKeyArns: [TWO] });
  expect(file.history).toHaveLength(2);
});

test('one of two parallel changes wins, and the other is rejected', async () => {
  await here.tenants.put(tenant, { plan: 'pro', kmsKeyArn: ONE });
  const both = await Promise.allSettled([
    here.tenants.put(tenant, change(ONE, TWO)),
    there.tenants.put(tenant, change(ONE, THREE)),
  ]);
  const lost = both.flatMap((one) => (one.status === 'rejected' ? [one.reason as SealdexError] : []));
  expect(lost.map(({ code }) => code)).toEqual(['TENANT_CHANGED']);
  const { history, kmsKeyArn } = await here.tenants.show(tenant);
  expect(history).toHaveLength(1);
  expect([TWO, THREE]).toContain(kmsKeyArn);
});

test('a change with a lost response is made once', async () => {
  let isLost = false;
  const loses = (store: Store): Store => ({
    ...store,
    async put(key, body, options) {
      const answer = await store.put(key, body, options);
      if (isLost || !(Buffer.isBuffer(body) && body.includes(TWO))) return answer;
      isLost = true;
      return { kind: 'exists' };
    },
  });
  await using unlucky = await instance(services, { store: loses });
  await here.tenants.put(tenant, { plan: 'pro', kmsKeyArn: ONE });
  const { file } = await unlucky.tenants.put(tenant, change(ONE, TWO));
  expect(isLost).toBe(true);
  expect(file.history).toHaveLength(1);
  expect(await here.tenants.show(tenant)).toEqual(file);
});

test('a tenant of plan free cannot get a key, and one with a key cannot change to plan free', async () => {
  await here.tenants.put(tenant, { plan: 'free' });
  expect(await faultOf(here.tenants.put(tenant, change(PLATFORM, ONE)))).toMatchObject({
    code: 'TENANT_KEY_INVALID',
    field: 'plan',
    message: expect.stringContaining(`sealdex tenants put ${tenant} --plan pro`) as string,
  });
  await here.tenants.put(tenant, { plan: 'pro' });
  await here.tenants.put(tenant, change(PLATFORM, ONE));
  expect(await faultOf(here.tenants.put(tenant, { plan: 'free' }))).toMatchObject({
    code: 'TENANT_KEY_INVALID',
    field: 'plan',
  });
});

test('a key blocked by the operator for the tenant is not attached again', async () => {
  await here.tenants.put(tenant, { plan: 'pro', kmsKeyArn: ONE });
  await here.tenants.put(tenant, { blocked: { arn: ONE, stop: { reason: 'incident', since: 1 } } });
  await here.tenants.put(tenant, change(ONE, TWO));
  expect(await faultOf(here.tenants.put(tenant, change(TWO, ONE)))).toMatchObject({ code: 'TENANT_KEY_INVALID' });
  expect((await here.tenants.show(tenant)).kmsKeyArn).toBe(TWO);
});
