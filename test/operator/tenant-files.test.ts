// Tenant files as an operator lists them: read concurrently, returned in the order of their names.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOperator, type Operator } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';

const opened = new AsyncDisposableStack();
let services: TestServices;
let operator: Operator;

beforeAll(async () => {
  services = opened.use(await testServices());
  operator = opened.use(await createOperator(services.settings));
});
afterAll(() => opened.disposeAsync());

test('32 tenant files are read at a time', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `tenant-${index + 10}`);
  await Promise.all(names.map((name) => operator.putTenant(name, { plan: 'free' })));
  const match = { method: 'GET', kind: 'object', prefix: 'tenants/' } as const;
  const hang = services.s3.faults.set({ match, fault: { kind: 'hang' } });
  const listed = Array.fromAsync(operator.tenantFiles());
  await eventually(() => hang.waiting === 32);
  hang.clear();
  expect((await listed).map(({ tenant }) => tenant)).toEqual(names);
});
