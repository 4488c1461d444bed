// A change of a tenant's KMS key whose process died behind the file: who says it again tells the processes that never heard of it.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createOperator, type Operator } from '../../src/app/app.ts';
import { putTenantFile } from '../../src/tenants/file.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { instance } from '../tenants/fixture.ts';

const opened = new AsyncDisposableStack();
let services: TestServices;
let operator: Operator;

beforeAll(async () => {
  services = opened.use(await testServices());
  operator = opened.use(await createOperator(services.settings));
});
afterAll(() => opened.disposeAsync());

test('another process hears of the key when it is set again, and the file stays as it is', async () => {
  const [from, to] = [services.kms.createKey(), services.kms.createKey()];
  await operator.putTenant('acme', { plan: 'pro', kmsKeyArn: from });
  await using there = await instance(services);
  expect((await there.tenants.get('acme')).keyArn).toBe(from);
  const entry = { change: 'key', id: '0123456789abcdef', at: 1, operator: 'me', from, to } as const;
  await putTenantFile(there.store, 'acme', { key: { entry, platformArns: new Set() } });
  expect((await there.tenants.get('acme')).keyArn).toBe(from);
  const file = await operator.tenant('acme');

  expect(await operator.setKey('acme', to)).toEqual({ tenant: 'acme', from: to, to, changed: false });
  await eventually(async () => (await there.tenants.get('acme')).keyArn === to);
  expect(await operator.tenant('acme')).toEqual(file);
});

test('a machine whose clock is wrong changes no key: the move, and its end, would go by that time', async () => {
  const [from, to] = [services.kms.createKey(), services.kms.createKey()];
  await operator.putTenant('globex', { plan: 'pro', kmsKeyArn: from });
  const right = Date.now.bind(Date);
  const behind = vi.spyOn(Date, 'now').mockImplementation(() => right() - 20 * 60_000);
  try {
    await expect(operator.setKey('globex', to)).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
  } finally {
    behind.mockRestore();
  }
  expect((await operator.tenant('globex')).kmsKeyArn).toBe(from);
});
