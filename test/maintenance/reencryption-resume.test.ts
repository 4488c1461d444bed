// A tenant's objects do not stay under a former KMS key after the loss of its re-encryption jobs; an operator need not act,
// and other tenants do not wait.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOperator, startWorker, type Operator } from '../../src/app/app.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { reencryptionResumeTask, type ResumeDeps } from '../../src/maintenance/reencryption-resume.ts';
import { eventually } from '../support/eventually.ts';
import { openMaintenanceFixture, type MaintenanceFixture } from './fixture.ts';

let fixture: MaintenanceFixture;
let operator: Operator;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
  operator = await createOperator(fixture.services.settings);
  for (const name of ['one', 'three', 'two'])
    await operator.putTenant(name, { plan: 'pro', kmsKeyArn: fixture.services.kms.createKey() });
});
afterEach(async () => {
  await operator[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

/** The checked tenants. */
async function run(restart: (tenant: string) => boolean, signal = new AbortController().signal): Promise<string[]> {
  const seen: string[] = [];
  const deps: ResumeDeps = {
    ...fixture.deps,
    restartStalled: async (tenant) => {
      seen.push(tenant);
      return restart(tenant);
    },
  };
  await reencryptionResumeTask(deps).run(signal);
  return seen;
}

test('the task checks all tenants, and logs those it continues', async () => {
  expect(await run((tenant) => tenant === 'two')).toEqual(['one', 'three', 'two']);
  expect(fixture.log).toEqual([{ level: 'warn', facts: { tenant: 'two' }, message: expect.any(String) as string }]);
});

test.each(['TENANT_UNKNOWN', 'PLATFORM_TENANTS', 'TENANT_BACKLOG_FULL'] as const)(
  'a tenant with %s does not delay the others',
  async (code) => {
    const restart = (tenant: string): boolean => {
      if (tenant === 'one') throw new SealdexError(code);
      return false;
    };
    expect(await run(restart)).toEqual(['one', 'three', 'two']);
    expect(fixture.log).toMatchObject([{ facts: { tenant: 'one', code } }]);
  },
);

test('the task fails if S3 or Redis fails, and stops before the next tenant when aborted', async () => {
  const failing = run(() => {
    throw new SealdexError('STORE_FAILED');
  });
  await expect(failing).rejects.toMatchObject({ code: 'STORE_FAILED' });
  const stopping = new AbortController();
  const seen: string[] = [];
  const stopped = run((tenant) => {
    seen.push(tenant);
    stopping.abort(new Error('it stops'));
    return false;
  }, stopping.signal);
  await expect(stopped).rejects.toThrow('it stops');
  expect(seen).toEqual(['one']);
});

test('a worker continues a re-encryption missing in a Redis without data', async () => {
  const { redis, deps, services } = fixture;
  await operator.setKey('two', services.kms.createKey());
  expect(await operator.reencryption('two')).toMatchObject({ state: 'moving' });
  for await (const keys of redis.scanStream({ match: `${deps.keys.prefix}:*` }) as AsyncIterable<string[]>)
    if (keys.length > 0) await redis.unlink(...keys);
  expect(await operator.reencryption('two')).toMatchObject({ state: 'not begun' });
  await redis.hset(deps.keys.chores, 'moves', '0');
  await using _worker = await startWorker({ ...services.settings, SEALDEX_PORT: 0 });
  // All is read once, and once more when no process can still use the former key.
  await eventually(async () => ((await operator.reencryption('two')).passBegun ?? 0) > Date.now());
});
