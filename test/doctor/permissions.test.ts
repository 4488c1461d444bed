// The doctor tests every permission in the printed policy of a role: without any one of them a check is FAIL.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { examineInstallation } from '../../src/app/app.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { bucketChecks } from '../../src/doctor/bucket.ts';
import { rolePolicy } from '../../src/policies/role-policy.ts';
import type { PolicyStatement } from '../../src/policies/policy-document.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import type { Store } from '../../src/store/store.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';

const opened = new AsyncDisposableStack();
let services: AwsServices;
let store: Store;

beforeAll(async () => {
  services = opened.use(await awsServices());
  store = opened.adopt(createStore(loadConfig(services.settings, {}), 'patient'), (each) => each.close());
});
afterAll(() => opened.disposeAsync());

const ROLES = ['worker', 'producer', 'reader'] as const;
type Role = (typeof ROLES)[number];

const identityObject = (): string => `system/${String(services.settings.SEALDEX_QUEUE)}/birth`;

const statementsOf = (role: Role): readonly PolicyStatement[] => {
  const { SEALDEX_BUCKET, SEALDEX_PLATFORM_KEY_ARN, SEALDEX_QUEUE } = services.settings;
  return rolePolicy(role, {
    bucket: String(SEALDEX_BUCKET),
    platformKeyArn: String(SEALDEX_PLATFORM_KEY_ARN),
    queue: String(SEALDEX_QUEUE),
  }).Statement;
};

/** The checks that fail for the role with only these statements. */
async function failing(role: Role, statements: readonly PolicyStatement[]): Promise<string[]> {
  const principal = `arn:aws:iam::111122223333:role/${role}`;
  const text = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  services.s3.permissions.set(principal, text);
  services.kms.permissions.set(principal, text);
  const settings = { ...services.settings, AWS_ACCESS_KEY_ID: principal };
  const found = await Array.fromAsync(examineInstallation(settings, { role }));
  return found.filter(({ check, status }) => status === 'fail' && !check.startsWith('redis')).map(({ check }) => check);
}

test.each(ROLES)(
  'every missing permission of a %s is reported, and no other',
  async (role) => {
    const statements = statementsOf(role);
    await store.put(identityObject(), Buffer.from('The mark.'), {});
    expect(await failing(role, statements)).toEqual([]);
    const unnoticed: string[] = [];
    for (const [at, statement] of statements.entries()) {
      for (const action of statement.Action) {
        const Action = statement.Action.filter((each) => each !== action);
        const left = statements.with(at, { ...statement, Action }).filter((each) => each.Action.length > 0);
        if ((await failing(role, left)).length === 0) unnoticed.push(`${statement.Sid} ${action}`);
      }
    }
    expect(unnoticed).toEqual([]);
    expect((await store.head(identityObject()))?.bytes).toBe('The mark.'.length);
    expect((await store.list('system/')).objects.filter(({ key }) => key.includes('/reencrypted/'))).toEqual([]);
  },
  120_000,
);

test('missing permissions under system/ are reported', async () => {
  const without = (Sid: string): PolicyStatement[] => statementsOf('worker').filter((each) => each.Sid !== Sid);
  expect(await failing('worker', without('BucketReencrypted'))).toEqual(['bucket system/']);
  const principal = { ...services.settings, AWS_ACCESS_KEY_ID: 'arn:aws:iam::111122223333:role/worker' };
  const found = await Array.fromAsync(examineInstallation(principal));
  expect(found.find(({ check }) => check === 'bucket system/')).toMatchObject({
    observed: `S3 denied reading or writing system/${String(services.settings.SEALDEX_QUEUE)}/reencrypted/* (AccessDenied).`,
    remedy: 'Allow worker: s3:GetObject, s3:PutObject on these objects. Full policy: sealdex policy worker',
  });
});

test('a store that ignores checksums has nothing replaced, and is reported', async () => {
  await store.put(identityObject(), Buffer.from('The mark.'), {});
  const keys = async (): Promise<string[]> => (await store.list('system/')).objects.map(({ key }) => key);
  const before = await keys();
  const ignoring: Store = {
    ...store,
    tryPut: async (key) => (await store.put(key, Buffer.from('1'), {}), 'written'),
  };
  const { SEALDEX_BUCKET, SEALDEX_QUEUE } = services.settings;
  const deps = {
    store: ignoring,
    bucket: String(SEALDEX_BUCKET),
    queue: String(SEALDEX_QUEUE),
    role: 'worker',
  } as const;
  const system = bucketChecks(deps).find(({ check }) => check === 'bucket system/');
  expect(await system?.run(new AbortController().signal)).toMatchObject({
    status: 'warn',
    observed: expect.stringContaining('the store ignores Content-MD5') as string,
  });
  expect((await store.head(identityObject()))?.bytes).toBe('The mark.'.length);
  expect(await keys()).toEqual(before);
});
