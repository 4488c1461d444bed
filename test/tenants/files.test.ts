// Content of a tenant's file, the keys that follow from it, and parallel changes without loss.
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { S3_ERRORS } from '@sealdex/local-aws';
import type { SealdexError } from '../../src/runtime/errors.ts';
import { readAll, type Store } from '../../src/store/store.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { instance, type Instance } from './fixture.ts';

const ARN = 'arn:aws:kms:us-west-2:111122223333:key/11111111-1111-1111-1111-111111111111';
const FORMER = 'arn:aws:kms:us-west-2:111122223333:key/22222222-2222-2222-2222-222222222222';
const OLD_PLATFORM = 'arn:aws:kms:us-west-2:111122223333:key/33333333-3333-3333-3333-333333333333';

let services: TestServices;
let one: Instance;
let platformArn: string;

beforeAll(async () => {
  services = await testServices();
  platformArn = String(services.settings.SEALDEX_PLATFORM_KEY_ARN);
  one = await instance(services, { config: { platformFormerKeyArns: [OLD_PLATFORM] } });
});
afterEach(() => services.s3.faults.clear());
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await services[Symbol.asyncDispose]();
});

const fresh = (tenant: string) => ({
  v: 1,
  tenant,
  plan: 'pro',
  formerKeyArns: [] as string[],
  whenKeyShut: 'park',
  keepOriginals: false,
  blockedKeys: [],
  history: [],
});

const writeRaw = (tenant: string, content: unknown): Promise<unknown> =>
  one.store.put(
    `tenants/${tenant}.json`,
    Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)),
    {},
  );

async function readRaw(tenant: string): Promise<unknown> {
  const stored = await one.store.get(`tenants/${tenant}.json`);
  return stored && JSON.parse((await readAll(stored)).toString());
}

const faultOf = (call: Promise<unknown>): Promise<SealdexError> =>
  call.then(
    () => Promise.reject(new Error('The call did not fail.')),
    (error: SealdexError) => error,
  );

describe('a new tenant', () => {
  it('has the file of the contract', async () => {
    expect(await one.tenants.put('made', { plan: 'pro', kmsKeyArn: ARN })).toEqual({
      made: true,
      file: { ...fresh('made'), kmsKeyArn: ARN },
    });
    expect(await readRaw('made')).toEqual({ ...fresh('made'), kmsKeyArn: ARN });
    expect(await one.tenants.show('made')).toEqual({ ...fresh('made'), kmsKeyArn: ARN });
  });

  it('is created by this call even if the response to its write was lost', async () => {
    services.s3.faults.set({ match: { method: 'PUT', prefix: 'tenants/' }, fault: { kind: 'lostResponse' }, times: 1 });
    expect((await one.tenants.put('lost', { plan: 'pro' })).made).toBe(true);
    expect((await one.tenants.put('lost', { plan: 'free' })).made).toBe(false);
  });

  it.each(['..', 'a/b', '', 'a b', 'x'.repeat(51), 'é'])('is not created under the name "%s"', async (name) => {
    services.s3.requests.reset();
    expect(await faultOf(one.tenants.put(name, { plan: 'pro' }))).toMatchObject({ field: 'tenant' });
    expect(await faultOf(one.tenants.show(name))).toMatchObject({ field: 'tenant' });
    expect(services.s3.requests.all()).toEqual({});
  });
});

describe('the keys of a tenant', () => {
  it("are the platform key, its former ones and the tenant's, without a key of its own", async () => {
    await writeRaw('platform', { ...fresh('platform'), formerKeyArns: [FORMER] });
    const tenant = await one.tenants.get('platform');
    expect(tenant).toMatchObject({ keyArn: platformArn, plan: 'pro' });
    expect([...tenant.readableArns].sort()).toEqual([platformArn, OLD_PLATFORM, FORMER].sort());
  });

  it("are the tenant's own and its former ones, never the platform key, with a key of its own", async () => {
    await writeRaw('own', { ...fresh('own'), kmsKeyArn: ARN, formerKeyArns: [FORMER] });
    const tenant = await one.tenants.get('own');
    expect(tenant).toMatchObject({ keyArn: ARN });
    expect([...tenant.readableArns].sort()).toEqual([ARN, FORMER].sort());
  });

  it('are rejected with plan free on creation, on change, or in a file written by hand', async () => {
    const refused = { code: 'TENANT_KEY_INVALID', field: 'plan' };
    expect(await faultOf(one.tenants.put('free1', { plan: 'free', kmsKeyArn: ARN }))).toMatchObject(refused);
    expect(await readRaw('free1')).toBeUndefined();
    await one.tenants.put('free2', { plan: 'pro', kmsKeyArn: ARN });
    expect(await faultOf(one.tenants.put('free2', { plan: 'free' }))).toMatchObject({
      ...refused,
      message:
        'The free plan does not include a KMS key. Remove the key of tenant free2 first: sealdex tenants set-key free2 --to-platform-key',
    });
    await writeRaw('free3', { ...fresh('free3'), plan: 'free', kmsKeyArn: ARN });
    expect(await faultOf(one.tenants.get('free3'))).toMatchObject(refused);
    expect(await one.tenants.show('free3')).toMatchObject({ plan: 'free', kmsKeyArn: ARN });
  });

  it.each(['alias/mine', ARN.replace('key/', 'alias/'), ARN.slice(ARN.indexOf('key/')), `${ARN}\n`, ''])(
    'are full ARNs, which "%s" is not',
    async (kmsKeyArn) => {
      expect(await faultOf(one.tenants.put('arn', { plan: 'pro', kmsKeyArn }))).toMatchObject({
        code: 'TENANT_KEY_INVALID',
        field: 'kmsKeyArn',
      });
    },
  );

  it('are not changed here for an existing tenant; the same one again is no change', async () => {
    await one.tenants.put('keyed', { plan: 'pro', kmsKeyArn: ARN });
    await one.tenants.put('keyless', { plan: 'pro' });
    const refused = { code: 'TENANT_KEY_INVALID', field: 'kmsKeyArn' };
    expect(await faultOf(one.tenants.put('keyed', { plan: 'pro', kmsKeyArn: FORMER }))).toMatchObject(refused);
    expect(await faultOf(one.tenants.put('keyless', { plan: 'pro', kmsKeyArn: ARN }))).toMatchObject(refused);
    expect(await one.tenants.put('keyed', { plan: 'enterprise', kmsKeyArn: ARN })).toMatchObject({
      made: false,
      file: { plan: 'enterprise', kmsKeyArn: ARN },
    });
    expect(await one.tenants.put('keyed', { plan: 'pro' })).toMatchObject({ file: { kmsKeyArn: ARN } });
  });
});

describe('a change of plan', () => {
  it('keeps every field it does not name, known or unknown', async () => {
    const names = fc
      .string({ minLength: 1, maxLength: 12 })
      .filter((name) => !(name in fresh('')) && name !== '__proto__');
    await fc.assert(
      fc.asyncProperty(fc.dictionary(names, fc.jsonValue(), { noNullPrototype: true }), async (unknown) => {
        const before = JSON.parse(
          JSON.stringify({
            ...unknown,
            ...fresh('kept'),
            kmsKeyArn: ARN,
            formerKeyArns: [FORMER],
            whenKeyShut: 'refuse',
            keepOriginals: true,
            paused: { reason: 'moves', since: 1, by: 'ops' },
            blockedKeys: [{ arn: ARN, reason: 'leaked', since: 2, more: [1] }],
            history: [{ at: 1, what: 'made' }],
          }),
        ) as object;
        await writeRaw('kept', before);
        await one.tenants.put('kept', { plan: 'enterprise' });
        expect(await readRaw('kept')).toEqual({ ...before, plan: 'enterprise' });
      }),
      { numRuns: 40 },
    );
  });

  it('parallel to another loses neither', async () => {
    await one.tenants.put('both', { plan: 'pro' });
    // Another change happens exactly between read and write.
    const once = { left: 1 };
    await using racing = await instance(services, {
      store: (store) => ({
        ...store,
        async get(key, options) {
          const found = await store.get(key, options);
          if (once.left-- <= 0 || !found) return found;
          const bytes = await readAll(found);
          await writeRaw('both', { ...fresh('both'), keepOriginals: true, newer: 'field' });
          return { ...found, body: bodyOf(bytes) };
        },
      }),
    });
    await racing.tenants.put('both', { plan: 'enterprise' });
    expect(await readRaw('both')).toEqual({
      ...fresh('both'),
      plan: 'enterprise',
      keepOriginals: true,
      newer: 'field',
    });
  });

  it('parallel to others in several processes ends as one of them, and each success was written', async () => {
    await using two = await instance(services);
    const plans = ['free', 'pro', 'enterprise'] as const;
    const answers = await Promise.all(plans.map((plan, n) => (n % 2 ? one : two).tenants.put('crowd', { plan })));
    expect(answers.filter(({ made }) => made)).toHaveLength(1);
    expect(plans).toContain((await one.tenants.show('crowd')).plan);
  });

  it('overtaken five times is TENANT_CHANGED', async () => {
    await one.tenants.put('restless', { plan: 'pro' });
    let writes = 0;
    const restless = (store: Store): Store => ({
      ...store,
      async put(key, body, options) {
        writes += 1;
        await store.put(key, Buffer.from(JSON.stringify({ ...fresh('restless'), writes })), {});
        return store.put(key, body, options);
      },
    });
    await using racing = await instance(services, { store: restless });
    expect((await faultOf(racing.tenants.put('restless', { plan: 'free' }))).code).toBe('TENANT_CHANGED');
    expect(writes).toBe(5);
    expect(await readRaw('restless')).toMatchObject({ plan: 'pro', writes: 5 });
  });

  it('to a file too large to be read is rejected before the write', async () => {
    const rows = Array.from({ length: 60_000 }, (_, n) => n);
    await writeRaw('large', { ...fresh('large'), history: [rows, rows] });
    expect(await faultOf(one.tenants.put('large', { plan: 'free' }))).toMatchObject({
      code: 'PLATFORM_TENANTS',
      reason: 'TooLarge',
    });
    expect((await one.tenants.get('large')).plan).toBe('pro');
  });
});

describe('operator stop and tenant setting', () => {
  const operatorStop = { reason: 'asked for', since: 1_795_461_684_317, by: 'ops' };

  it('are merged: each change keeps the others, and unknown fields', async () => {
    const before = { ...fresh('words'), kmsKeyArn: ARN, formerKeyArns: [FORMER], newer: { of: [1] } };
    await writeRaw('words', before);
    await one.tenants.put('words', { paused: operatorStop });
    await one.tenants.put('words', { whenKeyShut: 'refuse' });
    await one.tenants.put('words', { blocked: { arn: FORMER, stop: operatorStop } });
    await one.tenants.put('words', { blocked: { arn: ARN, stop: { ...operatorStop, reason: 'leaked' } } });
    await one.tenants.put('words', { plan: 'enterprise' });
    const all = {
      ...before,
      plan: 'enterprise',
      whenKeyShut: 'refuse',
      paused: operatorStop,
      blockedKeys: [
        { arn: FORMER, ...operatorStop },
        { arn: ARN, ...operatorStop, reason: 'leaked' },
      ],
    };
    expect(await readRaw('words')).toEqual(all);
    await one.tenants.put('words', { paused: null });
    await one.tenants.put('words', { blocked: { arn: FORMER, stop: null } });
    const { paused: _paused, ...rest } = all;
    expect(await readRaw('words')).toEqual({ ...rest, blockedKeys: all.blockedKeys.slice(1) });
  });

  it('replace an earlier value for the same key, and ending a missing one changes nothing', async () => {
    await one.tenants.put('again', { plan: 'pro', kmsKeyArn: ARN });
    await one.tenants.put('again', { blocked: { arn: ARN, stop: operatorStop } });
    await one.tenants.put('again', { blocked: { arn: ARN, stop: { ...operatorStop, since: 2 } } });
    expect(await readRaw('again')).toMatchObject({ blockedKeys: [{ arn: ARN, ...operatorStop, since: 2 }] });
    await one.tenants.put('again', { blocked: { arn: FORMER, stop: null }, paused: null });
    expect(await readRaw('again')).toEqual({
      ...fresh('again'),
      kmsKeyArn: ARN,
      blockedKeys: [{ arn: ARN, ...operatorStop, since: 2 }],
    });
  });

  it('are read by a process: a pause stops all, a block the current key, a block of a former key only that', async () => {
    const known = { since: operatorStop.since, reason: 'asked for' };
    const base = { ...fresh('known'), kmsKeyArn: ARN, formerKeyArns: [FORMER] };
    const load = async (change: object) => {
      await writeRaw('known', { ...base, ...change });
      await using other = await instance(services);
      return other.tenants.get('known');
    };
    const blocked = [{ arn: FORMER, ...operatorStop }];
    expect(await load({})).toMatchObject({ operatorStop: undefined, whenKeyShut: 'park' });
    expect(await load({ paused: operatorStop })).toMatchObject({ operatorStop: { code: 'TENANT_PAUSED', ...known } });
    const former = await load({ blockedKeys: blocked });
    expect(former.operatorStop).toBeUndefined();
    expect([...former.blocked]).toEqual([[FORMER, { code: 'KEY_BLOCKED', ...known }]]);
    const current = [...blocked, { arn: ARN, ...operatorStop }];
    expect(await load({ blockedKeys: current })).toMatchObject({ operatorStop: { code: 'KEY_BLOCKED', ...known } });
    expect(await load({ blockedKeys: current, paused: operatorStop })).toMatchObject({
      operatorStop: { code: 'TENANT_PAUSED' },
    });
  });

  it('need a tenant: without a plan an unknown one is TENANT_UNKNOWN, and nothing is written', async () => {
    for (const change of [{ paused: operatorStop }, { whenKeyShut: 'refuse' as const }, {}])
      expect((await faultOf(one.tenants.put('nobody', change))).code).toBe('TENANT_UNKNOWN');
    expect(await readRaw('nobody')).toBeUndefined();
    expect(await one.tenants.put('choosy', { plan: 'pro', whenKeyShut: 'refuse', paused: operatorStop })).toEqual({
      made: true,
      file: { ...fresh('choosy'), whenKeyShut: 'refuse', paused: operatorStop },
    });
  });
});

it('a put of an unknown tenant with a key suggests the command to create it with that key', async () => {
  const fault = await faultOf(one.tenants.put('nobody', { kmsKeyArn: ARN }));
  expect(fault.message).toBe(
    `Tenant nobody does not exist. Create it: sealdex tenants put nobody --plan pro --when-key-shut park --key ${ARN}`,
  );
});

async function* bodyOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describe('an untrusted file is PLATFORM_TENANTS, never the platform key:', () => {
  it.each<[string, unknown]>([
    ['empty', ''],
    ['no JSON', '{'],
    ['null', null],
    ['an array', [fresh('bad')]],
    ["another tenant's", fresh('other')],
    ['of version 0', { ...fresh('bad'), v: 0 }],
    ['of an unknown plan', { ...fresh('bad'), plan: 'gold' }],
    ['with an invalid ARN of its key', { ...fresh('bad'), kmsKeyArn: 'alias/mine' }],
    ['with null as its key', { ...fresh('bad'), kmsKeyArn: null }],
    ['with an invalid ARN of a former key', { ...fresh('bad'), formerKeyArns: ['x'] }],
    ['without its former keys', { ...fresh('bad'), formerKeyArns: undefined }],
    ['with a pause without a reason', { ...fresh('bad'), paused: { since: 1 } }],
    ['with a pause without a time', { ...fresh('bad'), paused: { reason: 'x', since: '1' } }],
    ['with a pause given as true', { ...fresh('bad'), paused: true }],
    ['without its blocked keys', { ...fresh('bad'), blockedKeys: undefined }],
    ['with a block of an invalid ARN', { ...fresh('bad'), blockedKeys: [{ arn: 'x', reason: 'x', since: 1 }] }],
    ['with a block without a reason', { ...fresh('bad'), blockedKeys: [{ arn: ARN, since: 1 }] }],
    ['with an unknown choice', { ...fresh('bad'), whenKeyShut: 'ignore' }],
    ['oversized', { ...fresh('bad'), padding: 'x'.repeat(1_048_576) }],
  ])('%s', async (_, content) => {
    await writeRaw('bad', content === '' || content === '{' ? content : JSON.stringify(content));
    for (const call of [one.tenants.get('bad'), one.tenants.show('bad'), one.tenants.put('bad', { plan: 'free' })])
      expect(await faultOf(call)).toMatchObject({ code: 'PLATFORM_TENANTS', reason: 'Malformed' });
  });

  it('a newer one, which stays in the bucket', async () => {
    const newer = { ...fresh('later'), v: 2, more: {} };
    await writeRaw('later', newer);
    const { tenants } = one;
    for (const call of [() => tenants.get('later'), () => tenants.put('later', { plan: 'free' })]) {
      expect(await faultOf(call())).toMatchObject({
        code: 'PLATFORM_TENANTS',
        reason: 'Newer',
        message: 'tenants/later.json was written by a newer release of sealdex. Upgrade this process.',
      });
    }
    expect(await readRaw('later')).toEqual(newer);
  });

  it('without access', async () => {
    services.s3.faults.set({ match: { method: 'GET', prefix: 'tenants/' }, fault: S3_ERRORS.accessDenied });
    expect(await faultOf(one.tenants.get('any'))).toMatchObject({ code: 'PLATFORM_TENANTS', reason: 'AccessDenied' });
  });

  it('unlike an unreachable store, which is STORE_FAILED and temporary', async () => {
    await one.tenants.put('reach', { plan: 'pro' });
    services.s3.faults.set({ match: { method: 'GET', prefix: 'tenants/' }, fault: S3_ERRORS.internal });
    expect((await faultOf(one.tenants.get('reach'))).code).toBe('STORE_FAILED');
    services.s3.faults.clear();
    expect((await one.tenants.get('reach')).plan).toBe('pro');
  });
});

describe('the names of all tenants', () => {
  it('are listed in order beyond the first thousand, and without other objects', async () => {
    await using many = await testServices();
    await using other = await instance(many);
    const names = Array.from({ length: 1_203 }, (_, n) => `t${String(n).padStart(4, '0')}`);
    const strange = ['tenants/a b.json', 'tenants/t0000.json.bak', 'tenants/sub/t.json', 'tenants/'];
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(
        names.slice(at, at + 50).map((name) => other.store.put(`tenants/${name}.json`, Buffer.alloc(1), {})),
      );
    await Promise.all(strange.map((key) => other.store.put(key, Buffer.alloc(1), {})));
    const seen: string[] = [];
    for await (const name of other.tenants.names()) seen.push(name);
    expect(seen).toEqual(names);
  });
});
