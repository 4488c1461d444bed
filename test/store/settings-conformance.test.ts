// The common behavior of the port for bucket settings: the adapter over the local S3 and the double in memory pass the same
// tests.
import { S3_ERRORS, type S3Fault } from '@sealdex/local-aws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BucketSettings, LifecycleRule } from '../../src/store/bucket-settings.ts';
import { openBucketSettings } from '../../src/store/s3/bucket.ts';
import { isDenial, isUnsupported } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { openLocalS3 } from '../support/local-s3.ts';
import { MemoryBucketSettings } from '../support/memory-bucket-settings.ts';
import { STORE_FAULTS } from '../support/memory-store.ts';

type FaultName = 'accessDenied' | 'internal' | 'notImplemented' | 'methodNotAllowed' | 'hang';

/** Settings, each as returned by the port and as given to the local S3. */
interface Example {
  readonly versioning?: 'on' | 'suspended' | undefined;
  readonly rules?: { readonly lifecycle: LifecycleRule[]; readonly xml: string };
  readonly encryption?: 'none' | 'aws:kms';
}

/** A bucket and the ways to change its settings. */
interface Setup extends AsyncDisposable {
  set(example: Example): void;
  fault(name: FaultName): { clear(): void; readonly waiting: number };
  clearFaults(): void;
  connect(): BucketSettings;
}

function memorySetup(): Setup {
  const bucket = new MemoryBucketSettings();
  return {
    set: ({ versioning, rules, encryption = 'AES256' }) =>
      bucket.set({
        versioning: versioning ?? 'off',
        lifecycle: rules?.lifecycle ?? [],
        encryption: encryption === 'aws:kms' ? 'aws:kms bucket-key' : encryption,
      }),
    fault: (name) => bucket.faults.set({ fault: name === 'hang' ? { kind: name } : STORE_FAULTS[name] }),
    clearFaults: () => bucket.faults.clear(),
    connect: () => bucket.connect(),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function adapterSetup(): Promise<Setup> {
  const { s3, bucket, config, [Symbol.asyncDispose]: dispose } = await openLocalS3();
  const faults: Record<FaultName, S3Fault> = {
    accessDenied: S3_ERRORS.accessDenied,
    internal: S3_ERRORS.internal,
    notImplemented: { kind: 'error', status: 501, code: 'NotImplemented' },
    methodNotAllowed: { kind: 'error', status: 405, code: 'MethodNotAllowed' },
    hang: { kind: 'hang' },
  };
  return {
    set: ({ versioning, rules, encryption }) =>
      s3.setBucket(bucket, {
        ...(versioning && { versioning: versioning === 'on' ? 'Enabled' : 'Suspended' }),
        ...(rules && { lifecycle: rules.xml }),
        ...(encryption && { encryption }),
      }),
    fault: (name) => s3.faults.set({ match: { kind: 'setting' }, fault: faults[name] }),
    clearFaults: () => s3.faults.clear(),
    connect: () => openBucketSettings(config),
    [Symbol.asyncDispose]: dispose,
  };
}

const SETTINGS = ['versioning', 'lifecycle', 'encryption'] as const;
const PLAIN = { prefix: '', isForTagged: false, movesTo: [] };

const ruleXml = (id: string, filter: string, actions: string, status = 'Enabled'): string =>
  `<Rule><ID>${id}</ID><Status>${status}</Status><Filter>${filter}</Filter>${actions}</Rule>`;
const AFTER_30 = '<Expiration><Days>30</Days></Expiration>';

const RULES: Record<string, NonNullable<Example['rules']>> = {
  'a rule for all objects': {
    lifecycle: [{ ...PLAIN, id: 'all', expiresAfterDays: 30 }],
    xml: ruleXml('all', '<Prefix></Prefix>', AFTER_30),
  },
  'a rule for a prefix': {
    lifecycle: [{ ...PLAIN, id: 'one', prefix: 'documents/', expiresAfterDays: 30 }],
    xml: ruleXml('one', '<Prefix>documents/</Prefix>', AFTER_30),
  },
  'a rule for a prefix and a tag': {
    lifecycle: [{ ...PLAIN, id: 'tag', prefix: 'intake/', isForTagged: true, expiresAfterDays: 30 }],
    xml: ruleXml('tag', '<And><Prefix>intake/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And>', AFTER_30),
  },
  'a rule with a date': {
    lifecycle: [{ ...PLAIN, id: 'date', expiresAt: new Date('2027-01-31T00:00:00Z') }],
    xml: ruleXml('date', '<Prefix></Prefix>', '<Expiration><Date>2027-01-31T00:00:00Z</Date></Expiration>'),
  },
  'a rule that changes the storage class': {
    lifecycle: [{ ...PLAIN, id: 'cold', movesTo: ['GLACIER'] }],
    xml: ruleXml(
      'cold',
      '<Prefix></Prefix>',
      '<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>',
    ),
  },
  'a rule for older versions': {
    lifecycle: [{ ...PLAIN, id: 'old', dropsVersionsAfterDays: 7 }],
    xml: ruleXml(
      'old',
      '<Prefix></Prefix>',
      '<NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>',
    ),
  },
  'only enabled rules': {
    lifecycle: [{ ...PLAIN, id: 'on', expiresAfterDays: 30 }],
    xml: ruleXml('off', '<Prefix></Prefix>', AFTER_30, 'Disabled') + ruleXml('on', '<Prefix></Prefix>', AFTER_30),
  },
};

describe.each([
  ['the adapter over the local S3', adapterSetup],
  ['the double in memory', memorySetup],
])('%s', (_, open) => {
  let setup: Setup;
  let settings: BucketSettings;
  const signal = new AbortController().signal;

  beforeAll(async () => {
    setup = await open();
    settings = setup.connect();
  });

  afterEach(() => {
    setup.clearFaults();
    setup.set({});
  });

  afterAll(async () => {
    settings.close();
    await setup[Symbol.asyncDispose]();
  });

  test('reads a new bucket as AES256, without versions and rules', async () => {
    expect(await Promise.all(SETTINGS.map((name) => settings[name](signal)))).toEqual(['off', [], 'AES256']);
  });

  test.each(['on', 'suspended'] as const)('reads %s versioning', async (versioning) => {
    setup.set({ versioning });
    expect(await settings.versioning(signal)).toBe(versioning);
  });

  test.each(Object.entries(RULES))('reads %s', async (_name, rules) => {
    setup.set({ rules });
    expect(await settings.lifecycle(signal)).toEqual(rules.lifecycle);
  });

  test('reads encryption with a KMS key as algorithm and key, and none as undefined', async () => {
    setup.set({ encryption: 'aws:kms' });
    expect(await settings.encryption(signal)).toBe('aws:kms bucket-key');
    setup.set({ encryption: 'none' });
    expect(await settings.encryption(signal)).toBeUndefined();
  });

  const REFUSALS = [
    ['accessDenied', 'AccessDenied', { denial: true, unsupported: false }],
    ['notImplemented', 'NotImplemented', { denial: false, unsupported: true }],
    ['methodNotAllowed', 'MethodNotAllowed', { denial: false, unsupported: true }],
    ['internal', 'InternalError', { denial: false, unsupported: false }],
  ] as const;

  test.each(REFUSALS)('throws STORE_FAILED of the right kind: %s', async (name, reason, kinds) => {
    setup.fault(name);
    for (const setting of SETTINGS) {
      const error = await settings[setting](signal).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'STORE_FAILED', reason });
      expect({ denial: isDenial(error), unsupported: isUnsupported(error) }).toEqual(kinds);
    }
  });

  test("ends at the caller's signal with its reason", async () => {
    const hang = setup.fault('hang');
    const controller = new AbortController();
    const reason = new Error('the check has to end');
    const call = settings.versioning(controller.signal).catch((thrown: unknown) => thrown);
    await eventually(() => hang.waiting === 1);
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(await settings.lifecycle(controller.signal).catch((thrown: unknown) => thrown)).toBe(reason);
  });
});
