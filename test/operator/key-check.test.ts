// Every row of the onboarding table, against the local KMS: errors, warnings, and errors unrelated to the key.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createOperator, type KeyCheck, type Operator } from '../../src/app/app.ts';
import { KMS_ERRORS, type KeyOptions, type KeyState, S3_ERRORS } from '@sealdex/local-aws';
import { factSteps } from '../../src/keys/check/facts.ts';
import type { KeyCheckOptions } from '../../src/operator/key-check.ts';
import type { OriginToAllow } from '../../src/runtime/names.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';

let services: TestServices;
let operator: Operator;

beforeAll(async () => {
  services = await testServices();
  const former = services.kms.createKey();
  operator = await createOperator({ ...services.settings, SEALDEX_PLATFORM_FORMER_KEY_ARNS: former });
  formerKey = former;
  for (const tenant of ['acme', 'globex']) await operator.putTenant(tenant, { plan: 'pro' });
  await operator.putTenant('freebie', { plan: 'free' });
});

let formerKey: string;

afterEach(() => {
  services.kms.faults.clear();
  services.s3.faults.clear();
});

afterAll(async () => {
  await operator[Symbol.asyncDispose]();
  await services[Symbol.asyncDispose]();
});

/** As in a tenant's key policy with the condition. */
const boundTo = (arn: string): void =>
  void services.kms.faults.set({
    match: { key: arn, context: { tenant: 'another-tenant' } },
    fault: KMS_ERRORS.accessDenied,
  });

const check = (arn: string, options?: KeyCheckOptions, tenant = 'acme'): Promise<KeyCheck> =>
  operator.checkKey(tenant, arn, options);

const stepOf = ({ steps }: KeyCheck, name: string) => steps.find(({ step }) => step === name);

const badOf = ({ steps }: KeyCheck): string[] =>
  steps.filter(({ status }) => status !== 'ok').map(({ step, status }) => `${status} ${step}`);

/** As by an operator with an editor. */
async function putFile(tenant: string, file: object | string): Promise<void> {
  const address = `${services.s3.endpoint}/${String(services.settings.SEALDEX_BUCKET)}/tenants/${tenant}.json`;
  const body = typeof file === 'string' ? file : JSON.stringify(file);
  expect((await fetch(address, { method: 'PUT', body })).ok).toBe(true);
}

/** The steps after those without a KMS call. */
const AFTER_KMS = ['plan', 'other owners'];

test('a valid key can be attached, and every step passes', async () => {
  const arn = services.kms.createKey();
  boundTo(arn);
  const stepNames: string[] = [];
  const checked = await check(arn, { onStep: ({ step }) => stepNames.push(step) });
  expect(badOf(checked)).toEqual([]);
  expect(checked).toMatchObject({ tenant: 'acme', arn, canAttach: true });
  expect(stepNames).toEqual([
    'arn',
    'owner',
    'DescribeKey',
    'key spec',
    'key usage',
    'key state',
    'regions',
    'origin',
    'GenerateDataKey',
    'Encrypt',
    'Decrypt',
    'ReEncrypt',
    'wrong context',
    'other tenant',
    ...AFTER_KMS,
  ]);
  expect(checked.steps.map(({ step }) => step)).toEqual(stepNames);
});

test('a check makes each call once, in the real context except for the wrong ones, and changes nothing', async () => {
  const arn = services.kms.createKey();
  boundTo(arn);
  const before = await operator.tenant('acme');
  await check(arn);
  const calls = services.kms.counts.all().filter(({ key }) => key === arn);
  expect(
    calls.map(({ operation, tenant, result, count }) => [operation, tenant, result, count].join(' ')).toSorted(),
  ).toEqual([
    'Decrypt acme InvalidCiphertextException 1',
    'Decrypt acme ok 1',
    'DescribeKey  ok 1',
    'Encrypt acme ok 1',
    'GenerateDataKey acme ok 1',
    'GenerateDataKey another-tenant AccessDeniedException 1',
    'ReEncrypt acme ok 1',
  ]);
  expect(await operator.tenant('acme')).toEqual(before);
  expect(services.kms.state(arn)).toBe('Enabled');
});

const ID = '1234abcd-12ab-34cd-56ef-1234567890ab';
const MRK = `mrk-${'a1'.repeat(16)}`;
const keyIn = (region: string, id: string): string => `arn:aws:kms:${region}:111122223333:key/${id}`;

describe('a check makes no KMS call', () => {
  test.each<[string, string, RegExp, RegExp]>([
    ['an alias', 'alias/mine', /^This is an alias/, /full ARN/],
    ["an alias' ARN", 'arn:aws:kms:us-west-2:111122223333:alias/mine', /^This is an alias/, /full ARN/],
    ['a bare id', ID, /^This is a key id/, /full ARN/],
    ['a bare multi-region id', MRK, /^This is a key id/, /full ARN/],
    ['other text', 'my key', /^This is not the full ARN/, /full ARN/],
    ['a key of another region', keyIn('eu-west-1', ID), /is in eu-west-1/, /^Ask the tenant for a key in us-west-2/],
    [
      'a multi-region key of another region',
      keyIn('eu-west-1', MRK),
      /is in eu-west-1/,
      /create a replica in us-west-2/,
    ],
  ])('for %s: it is rejected by its ARN', async (_, arn, observed, remedy) => {
    services.kms.counts.reset();
    const checked = await check(arn);
    expect(checked.canAttach).toBe(false);
    expect(stepOf(checked, 'arn')).toMatchObject({ status: 'fail' });
    expect(stepOf(checked, 'arn')?.observed).toMatch(observed);
    expect(stepOf(checked, 'arn')?.remedy).toMatch(remedy);
    expect(services.kms.counts.count()).toBe(0);
  });

  test('for a current or former platform key', async () => {
    services.kms.counts.reset();
    for (const arn of [String(services.settings.SEALDEX_PLATFORM_KEY_ARN), formerKey]) {
      const checked = await check(arn);
      expect(checked.canAttach).toBe(false);
      expect(badOf(checked)).toEqual(['fail owner']);
      expect(stepOf(checked, 'owner')?.remedy).toMatch(/^Ask the tenant for its own key/);
    }
    expect(services.kms.counts.count()).toBe(0);
  });
});

describe('a key is rejected by DescribeKey', () => {
  test.each<[string, KeyOptions, string, RegExp]>([
    ['another key spec', { keySpec: 'RSA_2048' }, 'key spec', /RSA_2048/],
    ['another key usage', { keyUsage: 'GENERATE_VERIFY_MAC' }, 'key usage', /GENERATE_VERIFY_MAC/],
  ])('for %s', async (_, options, step, observed) => {
    const checked = await check(services.kms.createKey(options));
    expect(checked.canAttach).toBe(false);
    expect(stepOf(checked, step)).toMatchObject({
      status: 'fail',
      remedy: expect.stringContaining('Ask the tenant for a') as string,
    });
    expect(stepOf(checked, step)?.observed).toMatch(observed);
    expect(stepOf(checked, 'GenerateDataKey')).toBeUndefined();
  });

  test.each<[KeyState, RegExp]>([
    ['Disabled', /enable the key/],
    ['PendingDeletion', /cancel the deletion and then enable/],
    ['PendingReplicaDeletion', /cancel the deletion/],
    ['PendingImport', /import the key material/],
    ['Unavailable', /reconnect the custom key store/],
    ['Creating', /Wait until/],
    ['Updating', /Wait until/],
  ])('in state %s, with a remedy', async (state, remedy) => {
    const arn = services.kms.createKey();
    services.kms.setState(arn, state);
    const checked = await check(arn);
    expect(checked.canAttach).toBe(false);
    const step = stepOf(checked, 'key state');
    expect(step).toMatchObject({ status: 'fail', observed: expect.stringContaining(`The key is ${state}`) as string });
    expect(step?.remedy).toMatch(remedy);
  });

  test('pending deletion, with the date', async () => {
    const arn = services.kms.createKey();
    services.kms.setState(arn, 'PendingDeletion');
    expect(stepOf(await check(arn), 'key state')?.observed).toMatch(/will be deleted on \d{4}-\d\d-\d\d\.$/);
  });

  test('if it is missing', async () => {
    const checked = await check(keyIn('us-west-2', ID));
    expect(badOf(checked)).toEqual(['fail DescribeKey']);
    expect(stepOf(checked, 'DescribeKey')?.observed).toMatch(/KEY_NOT_FOUND NotFoundException/);
  });

  test('if it is a multi-region key without a replica in the region', async () => {
    const checked = await check(keyIn('us-west-2', MRK));
    expect(stepOf(checked, 'DescribeKey')).toMatchObject({
      status: 'fail',
      remedy: 'Ask the tenant to create one in us-west-2.',
    });
  });
});

describe('a key with material outside KMS', () => {
  const made = (options: KeyOptions): string => {
    const arn = services.kms.createKey(options);
    services.kms.setState(arn, 'Enabled');
    boundTo(arn);
    return arn;
  };
  const OUTSIDE: [OriginToAllow, KeyOptions, RegExp][] = [
    ['EXTERNAL', { origin: 'EXTERNAL' }, /imported \(EXTERNAL\)/],
    ['EXTERNAL_KEY_STORE', { origin: 'EXTERNAL_KEY_STORE', customKeyStoreId: 'cks-2' }, /external key store/],
  ];

  test.each(OUTSIDE)('is rejected with origin %s', async (origin, options, observed) => {
    const checked = await check(made(options));
    expect(badOf(checked)).toEqual(['fail origin']);
    expect(stepOf(checked, 'origin')).toMatchObject({
      observed: expect.stringMatching(observed) as string,
      remedy: expect.stringContaining(`--allow-origin ${origin}`) as string,
    });
  });

  test.each(OUTSIDE)(
    'can be attached if %s is allowed, and only with that origin',
    async (origin, options, observed) => {
      const arn = made(options);
      const checked = await check(arn, { allowOrigin: origin });
      expect([checked.canAttach, ...badOf(checked)]).toEqual([true, 'warn origin']);
      expect(stepOf(checked, 'origin')?.observed).toMatch(observed);
      const other = OUTSIDE.find(([name]) => name !== origin)?.[0];
      expect((await check(arn, { allowOrigin: other })).canAttach).toBe(false);
    },
  );

  test('can be attached with a warning if it is in a CloudHSM key store', async () => {
    const checked = await check(made({ origin: 'AWS_CLOUDHSM', customKeyStoreId: 'cks-1' }));
    expect([checked.canAttach, ...badOf(checked)]).toEqual([true, 'warn origin']);
  });
});

describe('a warning', () => {
  const FACTS = {
    spec: 'SYMMETRIC_DEFAULT',
    usage: 'ENCRYPT_DECRYPT',
    state: 'Enabled',
    origin: 'AWS_KMS',
  };

  test('names the end of material and keys; a key with a replica only elsewhere is rejected', () => {
    const at = Date.UTC(2027, 0, 31);
    const checksOf = (more: object) =>
      factSteps({ ...FACTS, ...more }, 'us-west-2').filter(({ status }) => status !== 'ok');
    expect(checksOf({})).toEqual([]);
    expect(checksOf({ deletesAt: at })).toMatchObject([
      { step: 'key state', status: 'warn', observed: 'The key is enabled but will be deleted on 2027-01-31.' },
    ]);
    expect(checksOf({ origin: 'EXTERNAL', expiresAt: at })[0]?.observed).toContain('expires on 2027-01-31');
    expect(checksOf({ origin: 'unknown' })).toMatchObject([{ step: 'origin', status: 'fail' }]);
    expect(checksOf({ regions: ['eu-west-1'] })).toMatchObject([{ step: 'regions', status: 'fail' }]);
    expect(checksOf({ regions: ['eu-west-1', 'us-west-2'] })).toEqual([]);
  });

  test('is not raised for a multi-region key in the region', async () => {
    const arn = services.kms.createKey({ multiRegion: true });
    boundTo(arn);
    const checked = await check(arn);
    expect(badOf(checked)).toEqual([]);
    expect(stepOf(checked, 'regions')?.observed).toBe('Multi-region key: us-west-2.');
  });
});

describe('a denied action is reported', () => {
  test.each([
    ['DescribeKey', 'kms:DescribeKey'],
    ['GenerateDataKey', 'kms:GenerateDataKey*'],
    ['Encrypt', 'kms:Encrypt'],
    ['Decrypt', 'kms:Decrypt'],
    ['ReEncrypt', 'kms:ReEncrypt*'],
  ])('for %s, and the others are still tested', async (operation, action) => {
    const arn = services.kms.createKey();
    boundTo(arn);
    services.kms.faults.set({ match: { key: arn, operation }, fault: KMS_ERRORS.accessDenied });
    const checked = await check(arn);
    expect(badOf(checked)).toEqual([`fail ${operation}`]);
    expect(checked.canAttach).toBe(false);
    expect(stepOf(checked, operation)).toMatchObject({
      observed: `KMS denied ${action} (KEY_DENIED AccessDeniedException).`,
      remedy: `Ask the tenant to allow the sealdex role ${action} in the key policy. Statements: sealdex keys policy --tenant acme --principal ROLE_ARN`,
    });
  });

  test('for all of them at once', async () => {
    const arn = services.kms.createKey();
    services.kms.faults.set({ match: { key: arn }, fault: KMS_ERRORS.accessDenied });
    const checked = await check(arn);
    expect(badOf(checked)).toEqual(
      ['DescribeKey', 'GenerateDataKey', 'Encrypt', 'Decrypt', 'ReEncrypt'].map((step) => `fail ${step}`),
    );
  });

  test("with a remedy for sealdex's IAM policy if that denies it", async () => {
    const arn = services.kms.createKey();
    services.kms.faults.set({ match: { key: arn, operation: 'Decrypt' }, fault: KMS_ERRORS.accessDeniedByUs });
    expect(stepOf(await check(arn), 'Decrypt')?.remedy).toMatch(
      /^Allow kms:Decrypt on this key in the role's IAM policy/,
    );
  });
});

test('a key disabled between two calls is rejected with a remedy for the tenant', async () => {
  const arn = services.kms.createKey();
  const fault = { kind: 'error', name: 'DisabledException' } as const;
  services.kms.faults.set({ match: { key: arn, operation: 'Decrypt' }, fault });
  const step = stepOf(await check(arn), 'Decrypt');
  expect(step).toMatchObject({ status: 'fail', observed: expect.stringContaining('KEY_DISABLED') as string });
  expect(step?.remedy).toMatch(/^Ask the tenant to enable the key/);
});

test("a key policy without the tenant's context causes a warning: the key works in another tenant's context", async () => {
  const checked = await check(services.kms.createKey());
  expect(checked.canAttach).toBe(true);
  expect(badOf(checked)).toEqual(['warn other tenant']);
  expect(stepOf(checked, 'other tenant')?.remedy).toMatch(/kms:EncryptionContext:tenant = acme/);
});

describe('an error unrelated to the key is thrown', () => {
  test.each([
    ['KMS_THROTTLED', KMS_ERRORS.throttled, 'Encrypt'],
    ['KMS_FAILED', KMS_ERRORS.internal, 'GenerateDataKey'],
    ['KMS_FAILED', KMS_ERRORS.keyUnavailable, 'Decrypt'],
    ['KMS_FAILED', KMS_ERRORS.dependencyTimeout, 'ReEncrypt'],
    ['PLATFORM_CREDENTIALS', KMS_ERRORS.expiredCredentials, 'DescribeKey'],
  ] as const)('with code %s', async (code, fault, operation) => {
    const arn = services.kms.createKey();
    services.kms.faults.set({ match: { key: arn, operation }, fault });
    await expect(check(arn)).rejects.toMatchObject({
      code,
      keyArn: arn,
      requestId: expect.any(String) as string,
      message: expect.stringMatching(/^Could not check the KMS key because .*\. [A-Z].*\.$/) as string,
    });
  });

  test("and so is the caller's abort reason, also while KMS does not respond", async () => {
    const arn = services.kms.createKey();
    const stopped = new AbortController();
    const hang = services.kms.faults.set({ match: { key: arn, operation: 'Encrypt' }, fault: { kind: 'hang' } });
    const reason = new Error('stopped');
    await Promise.all([
      expect(check(arn, { signal: stopped.signal })).rejects.toBe(reason),
      eventually(() => hang.waiting > 0).then(() => stopped.abort(reason)),
    ]);
  });
});

describe('the tenant files', () => {
  test('reject a key of a tenant with plan free', async () => {
    const arn = services.kms.createKey();
    boundTo(arn);
    const checked = await check(arn, {}, 'freebie');
    expect(checked.canAttach).toBe(false);
    expect(stepOf(checked, 'plan')).toMatchObject({
      status: 'fail',
      remedy: 'Change the plan: sealdex tenants put freebie --plan pro',
    });
  });

  test('give the plan for the check; a tenant that does not exist yet uses the given plan, or causes a warning', async () => {
    const arn = services.kms.createKey();
    boundTo(arn);
    const planOf = async (options: KeyCheckOptions) => stepOf(await check(arn, options, 'newcomer'), 'plan')?.status;
    expect(await planOf({})).toBe('warn');
    expect(await planOf({ plan: 'enterprise' })).toBe('ok');
    expect(await planOf({ plan: 'free' })).toBe('fail');
  });

  test('reject a key for a deleted tenant', async () => {
    const arn = services.kms.createKey();
    boundTo(arn);
    await operator.putTenant('departed', { plan: 'pro' });
    const file = { ...(await operator.tenant('departed')), deleted: { at: Date.now() } };
    const address = `${services.s3.endpoint}/${String(services.settings.SEALDEX_BUCKET)}/tenants/departed.json`;
    expect((await fetch(address, { method: 'PUT', body: JSON.stringify(file) })).ok).toBe(true);
    const checked = await check(arn, { plan: 'pro' }, 'departed');
    expect(checked.canAttach).toBe(false);
    expect(stepOf(checked, 'plan')).toMatchObject({
      status: 'fail',
      observed: 'Tenant departed was deleted.',
      remedy: 'Choose another name.',
    });
  });

  test("reject another tenant's key unless it is shared; the same tenant may use it", async () => {
    const arn = services.kms.createKey();
    boundTo(arn);
    await operator.putTenant('owner', { plan: 'pro', kmsKeyArn: arn });
    const checked = await check(arn);
    expect(checked.canAttach).toBe(false);
    expect(badOf(checked)).toEqual(['fail other owners']);
    expect(stepOf(checked, 'other owners')?.observed).toBe('Also used by: owner.');
    const shared = await check(arn, { shared: true });
    expect(shared.canAttach).toBe(true);
    expect(badOf(shared)).toEqual(['warn other owners']);
    expect(badOf(await check(arn, {}, 'owner'))).toEqual([]);
  });

  test("reject another tenant's former key as well", async () => {
    const arn = services.kms.createKey();
    boundTo(arn);
    await operator.putTenant('left', { plan: 'pro' });
    await putFile('left', { ...(await operator.tenant('left')), formerKeyArns: [arn] });
    expect(stepOf(await check(arn), 'other owners')).toMatchObject({
      status: 'fail',
      observed: 'Also used by: left.',
    });
  });

  test('reject a key blocked by the operator for the tenant', async () => {
    const arn = services.kms.createKey();
    boundTo(arn);
    await operator.putTenant('blocked', { plan: 'pro', kmsKeyArn: arn });
    await operator.block('blocked', arn, 'incident');
    expect(badOf(await check(arn, {}, 'blocked'))).toEqual(['fail block']);
  });

  test('with a contradiction do not stop the check, and their key counts for their tenant', async () => {
    const [arn, odd] = [services.kms.createKey(), services.kms.createKey()];
    for (const each of [arn, odd]) boundTo(each);
    await operator.putTenant('odd', { plan: 'free' });
    await putFile('odd', { ...(await operator.tenant('odd')), kmsKeyArn: odd });
    expect(badOf(await check(arn))).toEqual([]);
    expect(stepOf(await check(odd), 'other owners')).toMatchObject({
      status: 'fail',
      observed: 'Also used by: odd.',
    });
  });

  test('cause an error if the store does not respond', async () => {
    const arn = services.kms.createKey();
    services.s3.faults.set({ match: { method: 'GET', prefix: 'tenants/globex.json' }, fault: S3_ERRORS.internal });
    await expect(check(arn)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  // Last: it leaves an unreadable file.
  test('leave the tenant of the key open if one is unreadable', async () => {
    await putFile('broken', '{');
    const arn = services.kms.createKey();
    boundTo(arn);
    const checked = await check(arn);
    expect(badOf(checked)).toEqual(['fail other owners']);
    expect(stepOf(checked, 'other owners')).toMatchObject({
      observed: expect.stringContaining('broken') as string,
      remedy: 'Fix tenants/broken.json in the bucket.',
    });
    expect((await check(arn, { shared: true })).canAttach).toBe(true);
  });
});
