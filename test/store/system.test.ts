// The test of conditional writes at start, and the canary that distinguishes platform errors from denied objects.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { S3_ERRORS } from '@sealdex/local-aws';
import type { Store } from '../../src/store/store.ts';
import { runCanary, honorsConditionalRemoval, proveConditionalWrites } from '../../src/store/system.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';
import { faultOf, storeOf } from './fixture.ts';

let services: AwsServices;
let store: Store;

beforeAll(async () => {
  services = await awsServices();
  store = storeOf(services.settings);
});
afterEach(() => services.s3.faults.clear());
afterAll(async () => {
  store.close();
  await services[Symbol.asyncDispose]();
});

const left = async (): Promise<string[]> => (await store.list('')).objects.map(({ key }) => key);

describe('the test of conditional writes', () => {
  it('passes on a store with conditions, and leaves no object', async () => {
    await proveConditionalWrites(store, 'main');
    expect(await left()).toEqual([]);
  });

  it('passes with a lost response', async () => {
    services.s3.faults.set({ match: { method: 'PUT' }, fault: { kind: 'lostResponse' }, times: 1 });
    await proveConditionalWrites(store, 'main');
    expect(await left()).toEqual([]);
  });

  it('throws CONFIG_INVALID on a store that ignores conditions, and leaves no object', async () => {
    services.s3.faults.set({ fault: { kind: 'ignoreConditions' } });
    const fault = await faultOf(proveConditionalWrites(store, 'main'));
    expect(fault.code).toBe('CONFIG_INVALID');
    expect(fault.message).toContain('SEALDEX_BUCKET');
    expect(await left()).toEqual([]);
  });

  it('repeats a request after a 409, and accepts only 412 as a proof', async () => {
    const second = { match: { method: 'PUT' as const }, fault: S3_ERRORS.conflict, times: 1 };
    const first = store.put.bind(store);
    let puts = 0;
    const late: Store = {
      ...store,
      put(...args) {
        puts += 1;
        if (puts === 2) services.s3.faults.set(second);
        return first(...args);
      },
    };
    await proveConditionalWrites(late, 'main');
    expect(puts).toBe(4);
    const always: Store = { ...store, put: async (...args) => (await first(...args), { kind: 'conflict' }) };
    expect((await faultOf(proveConditionalWrites(always, 'main'))).code).toBe('CONFIG_INVALID');
  });

  it('throws CONFIG_INVALID on a store that does not support conditions', async () => {
    services.s3.faults.set({ fault: { kind: 'error', status: 501, code: 'NotImplemented' } });
    expect((await faultOf(proveConditionalWrites(store, 'main'))).code).toBe('CONFIG_INVALID');
  });

  it('is inconclusive while the store fails, and throws', async () => {
    services.s3.faults.set({ match: { method: 'PUT' }, fault: S3_ERRORS.accessDenied });
    expect(await faultOf(proveConditionalWrites(store, 'main'))).toMatchObject({
      code: 'STORE_FAILED',
      reason: 'AccessDenied',
    });
  });

  it('uses only the canary folder of its queue', async () => {
    services.s3.faults.set({ match: { method: 'DELETE' }, fault: S3_ERRORS.accessDenied });
    await proveConditionalWrites(store, 'other');
    services.s3.faults.clear();
    const keys = await left();
    await Promise.all(keys.map((key) => store.remove(key)));
    expect(keys).toEqual([expect.stringMatching(/^system\/other\/canary\/[0-9a-f]{16}$/)]);
  });
});

describe('the test of conditional removals', () => {
  const proof = () => honorsConditionalRemoval(store, 'main');
  const removals = { match: { method: 'DELETE' }, times: 1 };

  it('passes on a store with conditions, and leaves no object', async () => {
    expect(await proof()).toBe(true);
    expect(await left()).toEqual([]);
  });

  it('fails on a store that ignores conditions, and leaves no object', async () => {
    services.s3.faults.set({ ...removals, fault: { kind: 'ignoreConditions' } });
    expect(await proof()).toBe(false);
    expect(await left()).toEqual([]);
  });

  it('fails on a store that does not support conditions, or rejects and still removes', async () => {
    services.s3.faults.set({ ...removals, fault: { kind: 'error', status: 501, code: 'NotImplemented' } });
    expect(await proof()).toBe(false);
    const untrue: Store = { ...store, remove: async (key) => (await store.remove(key), 'changed') };
    expect(await honorsConditionalRemoval(untrue, 'main')).toBe(false);
    expect(await left()).toEqual([]);
  });

  it('is inconclusive while the store denies access, and throws', async () => {
    services.s3.faults.set({ ...removals, fault: S3_ERRORS.accessDenied });
    expect(await faultOf(proof())).toMatchObject({ code: 'STORE_FAILED', reason: 'AccessDenied' });
    expect(await left()).toEqual([]);
  });
});

describe('the canary', () => {
  it('succeeds if writing and reading work, and leaves no object', async () => {
    await runCanary(store, 'main');
    expect(await left()).toEqual([]);
  });

  it.each(['PUT', 'GET', 'DELETE'])('fails when %s is denied', async (method) => {
    services.s3.faults.set({ match: { method, prefix: 'system/' }, fault: S3_ERRORS.accessDenied });
    expect(await faultOf(runCanary(store, 'main'))).toMatchObject({ code: 'STORE_FAILED', reason: 'AccessDenied' });
  });

  it('leaves no object when reading failed', async () => {
    const before = await left();
    services.s3.faults.set({ match: { method: 'GET', prefix: 'system/main/canary/' }, fault: S3_ERRORS.accessDenied });
    await faultOf(runCanary(store, 'main'));
    services.s3.faults.clear();
    expect(await left()).toEqual(before);
  });

  it('fails when it reads other bytes than it wrote', async () => {
    const forgetful: Store = { ...store, get: () => Promise.resolve(undefined) };
    expect(await faultOf(runCanary(forgetful, 'main'))).toMatchObject({ code: 'STORE_FAILED', reason: 'CanaryLost' });
  });
});
