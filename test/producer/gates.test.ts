// A producer while a tenant's KMS key is unusable: content waits under the platform key, or is rejected.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KMS_ERRORS, type KmsServer } from '@sealdex/local-aws';
import type { EnqueueResult, Producer } from '../../src/producer/producer.ts';
import { keyOf } from '../reader/fixture.ts';
import { changeTenantFile, type TenantFileChange } from '../support/change-tenant-file.ts';
import { eventually } from '../support/eventually.ts';
import { setGate, SHUT_AT } from '../support/gate.ts';
import { headerOf } from '../support/message.ts';
import { codeOf, documentOf, ended, objectAt, openScene, refusalOf, type Scene } from './fixture.ts';

let scene: Scene;
let kms: KmsServer;
let platformArn: string;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 });
  kms = scene.services.kms;
  platformArn = scene.config.platformKeyArn;
});
beforeEach(() => {
  kms.faults.clear();
  kms.enable(platformArn);
});
afterAll(() => scene[Symbol.asyncDispose]());

const request = (tenant: string, id = 'doc') => ({ tenant, corpus: 'docs', document: documentOf(id) });

let tenants = 0;
async function newTenant(change: TenantFileChange = {}): Promise<{ tenant: string; arn: string }> {
  const tenant = `tenant-${(tenants += 1)}`;
  const arn = await scene.tenant(tenant);
  await changeTenantFile(scene.operator, tenant, change);
  return { tenant, arn };
}

const shut = (tenant: string, arn: string): Promise<void> =>
  setGate({ redis: scene.redis, queue: scene.config.queue }, tenant, arn);

/** The KMS key and the purpose of a job's waiting content. */
async function waitsUnder(tenant: string, { jobId }: EnqueueResult): Promise<[arn: string, purpose: string]> {
  const { data } = await scene.operator.job(jobId);
  const content = data?.kind === 'index' ? data.content : { inline: '' };
  const message =
    'inline' in content
      ? Buffer.from(content.inline, 'base64')
      : (await objectAt(scene.store, (await scene.keysOf(`intake/${tenant}/${jobId}/`))[0] ?? '')).bytes;
  const { arn, context } = await headerOf(message);
  expect(context).toEqual({ tenant, period: expect.any(String) as string, purpose: expect.any(String) as string });
  return [arn, String(context['purpose'])];
}

async function expectNothingLeft(tenant: string, jobsBefore: readonly string[]): Promise<void> {
  expect((await scene.jobs()).toSorted()).toEqual(jobsBefore.toSorted());
  expect(await scene.keysOf(`intake/${tenant}/`)).toEqual([]);
}

const keyCalls = (key: string): number => kms.counts.count({ key });

describe('a shut gate', () => {
  it.each([
    ['in the job', 4096],
    ['in S3', 0],
  ])('keeps content %s under the platform key for intake, without a call with the tenant’s', async (_, inlineBytes) => {
    const { tenant, arn } = await newTenant();
    await shut(tenant, arn);
    const producer = await scene.producer({ SEALDEX_INLINE_BYTES: inlineBytes });
    kms.counts.reset();
    const results = [await producer.enqueueIndex(request(tenant)), await producer.enqueueIndex(request(tenant))];
    for (const result of results) expect(await waitsUnder(tenant, result)).toEqual([platformArn, 'intake']);
    expect(keyCalls(arn)).toBe(0);
    expect(kms.counts.count({ key: platformArn, tenant })).toBe(1);
  });

  it('keeps a bulk there too, of that tenant alone', async () => {
    const [{ tenant, arn }, other] = [await newTenant(), await newTenant()];
    await shut(tenant, arn);
    const producer = await scene.producer();
    const results = (await producer.enqueueIndexBulk([request(tenant), request(other.tenant)])) as EnqueueResult[];
    expect(await waitsUnder(tenant, results[0]!)).toEqual([platformArn, 'intake']);
    expect(await waitsUnder(other.tenant, results[1]!)).toEqual([other.arn, 'documents']);
  });

  it('rejects with code and time for a tenant that chose so, and nothing is queued or stored', async () => {
    const { tenant, arn } = await newTenant({ whenKeyShut: 'refuse' });
    await shut(tenant, arn);
    const producer = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
    const before = await scene.jobs();
    kms.counts.reset();
    const refused = { code: 'KEY_DISABLED', keyArn: arn, since: SHUT_AT };
    expect(await refusalOf(() => producer.enqueueIndex(request(tenant)))).toMatchObject(refused);
    expect(await producer.enqueueIndexBulk([request(tenant)])).toMatchObject([refused]);
    expect(kms.counts.all()).toEqual([]);
    await expectNothingLeft(tenant, before);
  });

  it('rejects if the platform key is unusable too, and nothing is queued or stored', async () => {
    const { tenant, arn } = await newTenant();
    await shut(tenant, arn);
    kms.disable(platformArn);
    const producer = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
    const before = await scene.jobs();
    expect(await codeOf(() => producer.enqueueIndex(request(tenant)))).toBe('PLATFORM_KEY');
    await expectNothingLeft(tenant, before);
  });

  it('reaches a running producer, as does its opening', async () => {
    const { tenant, arn } = await newTenant();
    const producer = await scene.producer();
    const under = async (): Promise<string> =>
      (await waitsUnder(tenant, await producer.enqueueIndex(request(tenant))))[0];
    expect(await under()).toBe(arn);
    await shut(tenant, arn);
    await eventually(async () => (await under()) === platformArn);
    await setGate({ redis: scene.redis, queue: scene.config.queue }, tenant, arn, { state: 'draining' });
    await eventually(async () => (await under()) === arn);
  });
});

describe('a key that fails after the gate was read', () => {
  it('keeps content under the platform key, and is called once for all later requests', async () => {
    const { tenant, arn } = await newTenant();
    const producer = await scene.producer();
    kms.disable(arn);
    kms.counts.reset();
    const results = [
      ...(await Promise.all(['a', 'b', 'c'].map((id) => producer.enqueueIndex(request(tenant, id))))),
      await producer.enqueueIndex(request(tenant, 'd')),
    ];
    for (const result of results) expect(await waitsUnder(tenant, result)).toEqual([platformArn, 'intake']);
    expect(kms.counts.count({ key: arn, operation: 'GenerateDataKey' })).toBe(1);
    expect(keyCalls(arn)).toBeLessThanOrEqual(2);
  });

  it('does not affect a producer’s cached data key until the shut gate is known there', async () => {
    const { tenant, arn } = await newTenant();
    const [producer, other] = [await scene.producer(), await scene.producer()];
    expect(await waitsUnder(tenant, await producer.enqueueIndex(request(tenant)))).toEqual([arn, 'documents']);
    kms.disable(arn);
    // The other producer has to call KMS, and shuts the gate for both.
    expect(await waitsUnder(tenant, await other.enqueueIndex(request(tenant)))).toEqual([platformArn, 'intake']);
    await eventually(
      async () => (await waitsUnder(tenant, await producer.enqueueIndex(request(tenant))))[0] === platformArn,
    );
    expect(keyCalls(arn)).toBeGreaterThan(0);
  });
});

describe('a key policy without', () => {
  const deny = (key: string, operation: string): void =>
    void kms.faults.set({ match: { key, operation }, fault: KMS_ERRORS.accessDenied });

  it('GenerateDataKey keeps the content of a new period under the platform key', async () => {
    const { tenant, arn } = await newTenant();
    deny(arn, 'GenerateDataKey');
    expect(await waitsUnder(tenant, await (await scene.producer()).enqueueIndex(request(tenant)))).toEqual([
      platformArn,
      'intake',
    ]);
  });

  it('Decrypt allows only the process that made the data key, and keeps the content of other producers under the platform key', async () => {
    const { tenant, arn } = await newTenant();
    deny(arn, 'Decrypt');
    const [maker, other] = [await scene.producer(), await scene.producer()];
    expect(await waitsUnder(tenant, await maker.enqueueIndex(request(tenant)))).toEqual([arn, 'documents']);
    expect(await waitsUnder(tenant, await other.enqueueIndex(request(tenant)))).toEqual([platformArn, 'intake']);
  });
});

describe('a tenant on the platform key', () => {
  const onPlatform = async (change: TenantFileChange): Promise<string> => {
    const tenant = `free-${(tenants += 1)}`;
    await scene.operator.putTenant(tenant, { plan: 'free' });
    await changeTenantFile(scene.operator, tenant, change);
    return tenant;
  };
  const operatorStop = { reason: 'asked for', since: SHUT_AT };

  it('has its documents’ key there, and keeps content for intake while it is paused', async () => {
    const producer = await scene.producer();
    const running = await onPlatform({});
    expect(await waitsUnder(running, await producer.enqueueIndex(request(running)))).toEqual([
      platformArn,
      'documents',
    ]);
    const paused = await onPlatform({ paused: operatorStop });
    expect(await waitsUnder(paused, await producer.enqueueIndex(request(paused)))).toEqual([platformArn, 'intake']);
    const choosy = await onPlatform({ paused: operatorStop, whenKeyShut: 'refuse' });
    expect(await refusalOf(() => producer.enqueueIndex(request(choosy)))).toMatchObject({
      code: 'TENANT_PAUSED',
      since: SHUT_AT,
    });
  });

  it.each([
    ['blocked', {}, 'KEY_BLOCKED'],
    ['blocked while the tenant is paused', { paused: operatorStop }, 'TENANT_PAUSED'],
  ] as const)('with that key %s is rejected, since there is no other', async (_, change, code) => {
    const tenant = await onPlatform({ ...change, blocked: { arn: platformArn, stop: operatorStop } });
    const before = await scene.jobs();
    const producer = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
    kms.counts.reset();
    expect(await refusalOf(() => producer.enqueueIndex(request(tenant)))).toMatchObject({ code, since: SHUT_AT });
    expect(kms.counts.all()).toEqual([]);
    await expectNothingLeft(tenant, before);
  });
});

describe('a tenant’s own key blocked by the operator', () => {
  it('is not called, and content is kept under the platform key', async () => {
    const { tenant, arn } = await newTenant();
    await changeTenantFile(scene.operator, tenant, { blocked: { arn, stop: { reason: 'leaked', since: SHUT_AT } } });
    const producer = await scene.producer();
    kms.counts.reset();
    expect(await waitsUnder(tenant, await producer.enqueueIndex(request(tenant)))).toEqual([platformArn, 'intake']);
    expect(keyCalls(arn)).toBe(0);
  });
});

describe('content under the platform key', () => {
  it.each([
    ['in the job', 4096],
    ['in S3', 0],
  ])('%s is stored under the tenant’s key once that works again', async (_, inlineBytes) => {
    const { tenant, arn } = await newTenant();
    const producer: Producer = await scene.producer({ SEALDEX_INLINE_BYTES: inlineBytes });
    kms.disable(arn);
    const { jobId } = await producer.enqueueIndex(request(tenant));
    const stop = await scene.work();
    await ended(producer, jobId, 'parked');
    expect(await scene.keysOf(`documents/${tenant}/`)).toEqual([]);
    kms.enable(arn);
    expect(await ended(producer, jobId)).toMatchObject({ state: 'done' });
    await stop();
    const place = { tenant, corpus: 'docs', id: 'doc' };
    const { arn: storedUnder, context } = await headerOf((await objectAt(scene.store, keyOf(place))).bytes);
    expect([storedUnder, context['purpose']]).toEqual([arn, 'documents']);
    expect(await (await scene.reader()).metadata(place)).toMatchObject({ id: 'doc' });
    await eventually(async () => (await scene.keysOf(`intake/${tenant}/`)).length === 0);
  });
});
