// Errors of a producer by cause: a tenant, its KMS key, the platform key or a clock, with one code each.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KMS_ERRORS, type KmsErrorFault, type KmsServer } from '@sealdex/local-aws';
import type { Code } from '../../src/runtime/errors.ts';
import { eventually } from '../support/eventually.ts';
import { codeOf, documentOf, ended, openScene, refusalOf, type Scene } from './fixture.ts';

let scene: Scene;
let kms: KmsServer;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_INLINE_BYTES: 0, SEALDEX_PROBE_MIN_MS: 200 });
  kms = scene.services.kms;
});
beforeEach(() => kms.faults.clear());
afterAll(() => scene[Symbol.asyncDispose]());

const request = (tenant: string) => ({ tenant, corpus: 'docs', document: documentOf('doc') });

let tenants = 0;
const newTenant = async (whenKeyShut: 'park' | 'refuse' = 'park'): Promise<{ tenant: string; arn: string }> => {
  const tenant = `tenant-${(tenants += 1)}`;
  const arn = await scene.tenant(tenant);
  await scene.operator.putTenant(tenant, { whenKeyShut });
  return { tenant, arn };
};

async function expectNothingQueued(): Promise<void> {
  expect(await scene.jobs()).toEqual([]);
  expect(await scene.keysOf('intake/')).toEqual([]);
}

const STATES: readonly (readonly [what: string, code: Code, (arn: string) => void])[] = [
  ['disabled', 'KEY_DISABLED', (arn) => kms.disable(arn)],
  ['pending deletion', 'KEY_PENDING_DELETION', (arn) => kms.scheduleDeletion(arn)],
  [
    'pending deletion, reported as disabled',
    'KEY_PENDING_DELETION',
    (arn) => kms.scheduleDeletion(arn, { answers: 'DisabledException' }),
  ],
  ['pending import', 'KEY_PENDING_IMPORT', (arn) => kms.setState(arn, 'PendingImport')],
  ['in an unreachable key store', 'KEY_UNAVAILABLE', (arn) => kms.setState(arn, 'Unavailable')],
  ['deleted', 'KEY_NOT_FOUND', (arn) => kms.forget(arn)],
  ['with a denying policy', 'KEY_DENIED', (key) => kms.faults.set({ match: { key }, fault: KMS_ERRORS.accessDenied })],
];

describe('the KMS key of a tenant with whenKeyShut refuse', () => {
  it.each(STATES)('%s rejects requests with %s, nothing is queued, and KMS is called once', async (_, code, change) => {
    const { tenant, arn } = await newTenant('refuse');
    const producer = await scene.producer();
    change(arn);
    kms.counts.reset();
    for (let time = 0; time < 3; time++) {
      const error = await refusalOf(() => producer.enqueueIndex(request(tenant)));
      expect(error).toMatchObject({ name: 'SealdexError', code });
      expect(error.message).not.toContain('doc');
    }
    expect(kms.counts.count({ operation: 'GenerateDataKey' })).toBe(1);
    expect(kms.counts.count()).toBeLessThanOrEqual(2);
    await expectNothingQueued();
  });

  it('is used again by the same producer once a worker has probed it', async () => {
    const { tenant, arn } = await newTenant('refuse');
    const producer = await scene.producer();
    kms.disable(arn);
    expect(await codeOf(() => producer.enqueueIndex(request(tenant)))).toBe('KEY_DISABLED');
    kms.enable(arn);
    expect(await codeOf(() => producer.enqueueIndex(request(tenant)))).toBe('KEY_DISABLED');
    const stop = await scene.work();
    const { jobId } = await eventually(() => producer.enqueueIndex(request(tenant)));
    expect(await ended(producer, jobId)).toMatchObject({ state: 'done' });
    await eventually(async () => (await scene.keysOf('intake/')).length === 0);
    await stop();
    await expectNothingQueued();
  });
});

describe('a tenant', () => {
  it('unknown so far is TENANT_UNKNOWN, and is found as soon as it is created', async () => {
    const producer = await scene.producer();
    expect(await codeOf(() => producer.enqueueIndex(request('later')))).toBe('TENANT_UNKNOWN');
    await scene.tenant('later');
    expect(await codeOf(() => producer.enqueueIndex({ ...request('later'), document: {} }))).toBe('DOCUMENT_INVALID');
    kms.faults.set({ fault: KMS_ERRORS.throttled });
    expect(await codeOf(() => producer.enqueueIndex(request('later')))).toBe('KMS_THROTTLED');
  });

  it.each([
    ['a key of plan free', { plan: 'free' }],
    ['a key for something else', { kmsKeyArn: () => kms.createKey({ keyUsage: 'SIGN_VERIFY', keySpec: 'RSA_2048' }) }],
  ])('with %s is TENANT_KEY_INVALID', async (_, change) => {
    const { tenant, arn } = await newTenant();
    const key = 'kmsKeyArn' in change ? change.kmsKeyArn() : arn;
    await writeTenant(tenant, { ...(await scene.operator.tenant(tenant)), ...change, kmsKeyArn: key });
    const producer = await scene.producer();
    expect(await codeOf(() => producer.enqueueIndex(request(tenant)))).toBe('TENANT_KEY_INVALID');
    await expectNothingQueued();
  });

  it('with an invalid file is a platform error and never falls back to the platform key', async () => {
    const { tenant } = await newTenant();
    await writeTenant(tenant, { v: 1, tenant, plan: 'gold' });
    const producer = await scene.producer();
    kms.counts.reset();
    expect(await codeOf(() => producer.enqueueIndex(request(tenant)))).toBe('PLATFORM_TENANTS');
    expect(kms.counts.all()).toEqual([]);
    await expectNothingQueued();
  });
});

describe('the platform', () => {
  const FAULTS: readonly (readonly [KmsErrorFault, Code])[] = [
    [KMS_ERRORS.accessDenied, 'PLATFORM_KEY'],
    [KMS_ERRORS.notFound, 'PLATFORM_KEY'],
    [KMS_ERRORS.expiredCredentials, 'PLATFORM_CREDENTIALS'],
    [KMS_ERRORS.unknownCredentials, 'PLATFORM_CREDENTIALS'],
  ];

  it.each(FAULTS)('reports a KMS response of %o as %s', async (fault, code) => {
    await scene.operator.putTenant('on-platform', { plan: 'free' });
    const producer = await scene.producer();
    kms.faults.set({ fault });
    expect(await codeOf(() => producer.enqueueIndex(request('on-platform')))).toBe(code);
    await expectNothingQueued();
  });

  it('rejects a clock more than 60 s away from that of Redis with CLOCK_SKEW, with and without an idempotency key', async () => {
    const { tenant } = await newTenant();
    const producer = await scene.producer();
    const revision = `sealdex:{${scene.config.queue}}:stamp:revision`;
    await scene.redis.set(revision, String((Date.now() + 180_000) * 1000));
    expect(await codeOf(() => producer.enqueueIndex(request(tenant)))).toBe('CLOCK_SKEW');
    expect(await codeOf(() => producer.enqueueIndex({ ...request(tenant), idempotencyKey: 'k' }))).toBe('CLOCK_SKEW');
    expect(await producer.enqueueIndexBulk([request(tenant)])).toMatchObject([{ code: 'CLOCK_SKEW' }]);
    await expectNothingQueued();
    await scene.redis.del(revision);
  });
});

/** As by an operator with an editor; then restarts the processes with caches. */
async function writeTenant(tenant: string, file: object): Promise<void> {
  await scene.store.put(`tenants/${tenant}.json`, Buffer.from(JSON.stringify(file)), {});
  await scene.redis.publish(`sealdex:{${scene.config.queue}}:tenants:changed`, tenant);
}
