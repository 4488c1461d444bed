// A change of a tenant's KMS key interrupted after the file: its repetition informs the other processes.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
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

test('another process learns of the key when it is set again, and the file stays unchanged', async () => {
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

test('a machine with a wrong clock cannot change a key, since the re-encryption depends on that time', async () => {
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

describe('a tenant with its first KMS key', () => {
  let choosing: Operator;

  beforeAll(async () => {
    const { SEALDEX_WHEN_KEY_SHUT: _, ...settings } = services.settings;
    choosing = opened.use(await createOperator(settings));
  });

  test('needs a setting for content that arrives while the key is unusable', async () => {
    const kmsKeyArn = services.kms.createKey();
    const refusal = { code: 'DOCUMENT_INVALID', field: 'whenKeyShut' };
    await expect(choosing.putTenant('put', { plan: 'pro', kmsKeyArn })).rejects.toMatchObject(refusal);
    await expect(choosing.makeTenant('put', { plan: 'pro', kmsKeyArn })).rejects.toMatchObject(refusal);
    await choosing.putTenant('put', { plan: 'pro' });
    await expect(choosing.setKey('put', kmsKeyArn)).rejects.toMatchObject(refusal);
    await choosing.setKey('put', kmsKeyArn, { whenKeyShut: 'refuse' });
    expect(await choosing.tenant('put')).toMatchObject({ kmsKeyArn, whenKeyShut: 'refuse' });
  });

  test('keeps its setting when it changes from one key to another', async () => {
    await choosing.makeTenant('kept', { plan: 'pro', kmsKeyArn: services.kms.createKey(), whenKeyShut: 'refuse' });
    await choosing.setKey('kept', services.kms.createKey());
    expect(await choosing.tenant('kept')).toMatchObject({ whenKeyShut: 'refuse' });
  });

  test('takes the default of the installation', async () => {
    const { file } = await operator.makeTenant('usual', { plan: 'pro', kmsKeyArn: services.kms.createKey() });
    expect(file.whenKeyShut).toBe('park');
  });

  test('has an allowed origin in its history', async () => {
    const kmsKeyArn = services.kms.createKey({ origin: 'EXTERNAL' });
    services.kms.setState(kmsKeyArn, 'Enabled');
    const change = { plan: 'pro', kmsKeyArn } as const;
    await expect(operator.makeTenant('imported', change)).rejects.toMatchObject({ code: 'TENANT_KEY_INVALID' });
    await operator.makeTenant('imported', change, { allowOrigin: 'EXTERNAL' });
    expect((await operator.tenant('imported')).history).toMatchObject([{ to: kmsKeyArn, allowedOrigin: 'EXTERNAL' }]);
    await operator.setKey('imported', services.kms.createKey());
    await operator.setKey('imported', kmsKeyArn, { allowOrigin: 'EXTERNAL' });
    expect((await operator.tenant('imported')).history.at(-1)).toMatchObject({ allowedOrigin: 'EXTERNAL' });
  });
});
