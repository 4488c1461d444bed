// Unknown SEALDEX_ variables: the roles that reject them, and those that only warn.
import { expect, test } from 'vitest';
import { createOperator, createProducer, createReader } from '../../src/app/app.ts';

/** No required setting, so that nothing is opened. */
const env = (name: string) => ({ [name]: '1', SEALDEX_QUEUE: 'main' });

test.each([
  ['producer', createProducer],
  ['reader', createReader],
])('a %s ignores an unknown variable and emits a process warning', async (role, create) => {
  const warnings: string[] = [];
  const listen = ({ message }: Error): number => warnings.push(message);
  process.on('warning', listen);
  const name = `SEALDEX_UNKNOWN_TO_${role.toUpperCase()}`;
  const error = await create({}, { env: env(name) }).catch((thrown: unknown) => thrown as Error);
  await new Promise(setImmediate);
  process.off('warning', listen);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('REDIS_URL') as string });
  expect((error as Error).message).not.toContain(name);
  expect(warnings).toEqual([expect.stringContaining(`${name} is not a known setting`)]);
});

test('an operator rejects an unknown variable', async () => {
  await expect(createOperator({}, { env: env('SEALDEX_UNKNOWN') })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('SEALDEX_UNKNOWN is not a known setting') as string,
  });
});
