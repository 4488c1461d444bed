// The common behavior of the KMS port: the adapter over the local KMS and the double in memory pass the same tests.
import { KMS_ERRORS } from '@sealdex/local-aws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { KeyContext } from '../../src/keys/data-key.ts';
import { isWrongWrapping, type Kms } from '../../src/keys/kms.ts';
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { openLocalKms } from '../support/local-kms.ts';
import { KMS_FAULTS, MemoryKms } from '../support/memory-kms.ts';

/** The tenant of `CONTEXT`. */
const acme = (arn: string): KeyRef => keyRef('acme', arn);

const CONTEXT: KeyContext = { tenant: 'acme', period: '2026-11-23T12:00Z', purpose: 'documents' };

type FaultName = 'throttled' | 'internal' | 'expiredCredentials' | 'accessDenied' | 'accessDeniedByUs' | 'notFound';

interface Match {
  readonly key: string;
  readonly operation?: 'GenerateDataKey' | 'Decrypt';
  readonly context?: Partial<KeyContext>;
}

/** A KMS and the ways to change its keys. */
interface Setup extends AsyncDisposable {
  readonly keys: Pick<
    MemoryKms,
    | 'createKey'
    | 'enable'
    | 'disable'
    | 'scheduleDeletion'
    | 'cancelDeletion'
    | 'setState'
    | 'forget'
    | 'platformKeyArn'
  >;
  readonly counts: Pick<MemoryKms['counts'], 'count' | 'reset'>;
  fault(name: FaultName | 'hang', match: Match): { clear(): void; readonly waiting: number };
  clearFaults(): void;
  connect(): Kms;
}

function memorySetup(): Setup {
  const kms = new MemoryKms();
  return {
    keys: kms,
    counts: kms.counts,
    fault: (name, match) => kms.faults.set({ match, fault: name === 'hang' ? { kind: 'hang' } : KMS_FAULTS[name] }),
    clearFaults: () => kms.faults.clear(),
    connect: () => kms.connect(),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function adapterSetup(): Promise<Setup> {
  const local = await openLocalKms();
  const { kms, config } = local;
  return {
    keys: { ...kms, platformKeyArn: config.platformKeyArn },
    counts: kms.counts,
    fault: (name, match) => kms.faults.set({ match, fault: name === 'hang' ? { kind: 'hang' } : KMS_ERRORS[name] }),
    clearFaults: () => kms.faults.clear(),
    connect: () => local.connect(),
    [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
  };
}

describe.each([
  ['the adapter over the local KMS', adapterSetup],
  ['the double in memory', memorySetup],
])('%s', (_, open) => {
  let setup: Setup;
  let kms: Kms;
  let arn: string;

  beforeAll(async () => {
    setup = await open();
    arn = setup.keys.createKey();
    kms = setup.connect();
  });

  afterEach(() => {
    setup.clearFaults();
    setup.counts.reset();
  });

  afterAll(async () => {
    kms.close();
    await setup[Symbol.asyncDispose]();
  });

  test('unwraps a data key to its plaintext of 32 bytes, in a separate buffer', async () => {
    const { plaintext, wrapped } = await kms.generateDataKey(acme(arn), CONTEXT);
    const unwrapped = await kms.decrypt(acme(arn), wrapped, CONTEXT);
    expect(unwrapped.equals(plaintext)).toBe(true);
    expect([plaintext.length, unwrapped.length, unwrapped.buffer.byteLength]).toEqual([32, 32, 32]);
    expect(unwrapped.buffer).not.toBe(plaintext.buffer);
  });

  test('makes a different data key in each call, and another client unwraps it', async () => {
    const [one, two] = [await kms.generateDataKey(acme(arn), CONTEXT), await kms.generateDataKey(acme(arn), CONTEXT)];
    expect(one.plaintext.equals(two.plaintext)).toBe(false);
    const other = setup.connect();
    expect((await other.decrypt(acme(arn), two.wrapped, CONTEXT)).equals(two.plaintext)).toBe(true);
    other.close();
  });

  test.each(['tenant', 'period', 'purpose'] as const)(
    'rejects a data key in a context with another %s',
    async (name) => {
      const { wrapped } = await kms.generateDataKey(acme(arn), CONTEXT);
      const other = { ...CONTEXT, [name]: name === 'purpose' ? 'intake' : 'other' } as KeyContext;
      const refused = await kms.decrypt(keyRef(other.tenant, arn), wrapped, other).catch((error: unknown) => error);
      expect(isWrongWrapping(refused)).toBe(true);
      expect(refused).toMatchObject({ reason: 'InvalidCiphertextException' });
    },
  );

  test('rejects a data key of another KMS key', async () => {
    const { wrapped } = await kms.generateDataKey(acme(setup.keys.createKey()), CONTEXT);
    await expect(kms.decrypt(acme(arn), wrapped, CONTEXT)).rejects.toMatchObject({
      code: 'OBJECT_TAMPERED',
      reason: 'IncorrectKeyException',
    });
  });

  test.each([
    ['no bytes', 0],
    ['more bytes than a wrapped key has', 6145],
  ])('rejects %s without a call', async (_name, length) => {
    await expect(kms.decrypt(acme(arn), Buffer.alloc(length), CONTEXT)).rejects.toMatchObject({
      code: 'OBJECT_TAMPERED',
      reason: 'WrappedLength',
    });
    expect(setup.counts.count()).toBe(0);
  });

  test('rejects a data key with one changed byte', async () => {
    const { wrapped } = await kms.generateDataKey(acme(arn), CONTEXT);
    wrapped[wrapped.length - 1]! ^= 1;
    await expect(kms.decrypt(acme(arn), wrapped, CONTEXT)).rejects.toMatchObject({ code: 'OBJECT_TAMPERED' });
  });

  const STATES: [string, (key: string) => void, string][] = [
    ['disabled', (key) => setup.keys.disable(key), 'KEY_DISABLED'],
    ['pending deletion', (key) => setup.keys.scheduleDeletion(key), 'KEY_PENDING_DELETION'],
    ['pending import', (key) => setup.keys.setState(key, 'PendingImport'), 'KEY_PENDING_IMPORT'],
    ['unavailable', (key) => setup.keys.setState(key, 'Unavailable'), 'KEY_UNAVAILABLE'],
    ['being created', (key) => setup.keys.setState(key, 'Creating'), 'KMS_FAILED'],
    ['gone', (key) => setup.keys.forget(key), 'KEY_NOT_FOUND'],
  ];

  test.each(STATES)('rejects both calls with a %s key, and names the key', async (_name, change, code) => {
    const key = setup.keys.createKey();
    const { wrapped } = await kms.generateDataKey(acme(key), CONTEXT);
    change(key);
    const refused = { code, keyArn: key };
    await expect(kms.generateDataKey(acme(key), CONTEXT)).rejects.toMatchObject(refused);
    await expect(kms.decrypt(acme(key), wrapped, CONTEXT)).rejects.toMatchObject(refused);
  });

  test('returns the deletion date of a key pending deletion', async () => {
    const key = setup.keys.createKey();
    setup.keys.scheduleDeletion(key, { days: 7 });
    const { deletesAt = 0 } = (await kms.generateDataKey(acme(key), CONTEXT).catch((error: unknown) => error)) as {
      deletesAt?: number;
    };
    expect(Math.abs(deletesAt - Date.now() - 7 * 86_400_000)).toBeLessThan(600_000);
  });

  test('accepts a key again after it is enabled', async () => {
    const key = setup.keys.createKey();
    setup.keys.scheduleDeletion(key);
    setup.keys.cancelDeletion(key);
    await expect(kms.generateDataKey(acme(key), CONTEXT)).rejects.toMatchObject({ code: 'KEY_DISABLED' });
    setup.keys.enable(key);
    expect((await kms.generateDataKey(acme(key), CONTEXT)).plaintext).toHaveLength(32);
  });

  test('rejects an invalid ARN', async () => {
    await expect(kms.generateDataKey(acme('arn:aws:kms:no'), CONTEXT)).rejects.toMatchObject({
      code: 'TENANT_KEY_INVALID',
    });
  });

  test('throws PLATFORM_KEY if the platform key is denied', async () => {
    const key = setup.keys.platformKeyArn;
    setup.keys.disable(key);
    await expect(kms.generateDataKey(acme(key), CONTEXT)).rejects.toMatchObject({
      code: 'PLATFORM_KEY',
      keyArn: key,
    });
    setup.keys.enable(key);
  });

  test.each([
    ['throttled', { code: 'KMS_THROTTLED' }],
    ['internal', { code: 'KMS_FAILED' }],
    ['expiredCredentials', { code: 'PLATFORM_CREDENTIALS' }],
    ['accessDenied', { code: 'KEY_DENIED', deniedBy: 'tenant' }],
    ['accessDeniedByUs', { code: 'KEY_DENIED', deniedBy: 'operator' }],
    ['notFound', { code: 'KEY_NOT_FOUND' }],
  ] as const)('throws the code and the key of an injected error: %s', async (name, expected) => {
    setup.fault(name, { key: arn });
    const own = setup.connect();
    await expect(own.generateDataKey(acme(arn), CONTEXT)).rejects.toMatchObject({ ...expected, keyArn: arn });
    own.close();
  });

  test('denies only the operation or period of an injected denial', async () => {
    const { wrapped } = await kms.generateDataKey(acme(arn), CONTEXT);
    const denial = setup.fault('accessDenied', { key: arn, operation: 'Decrypt' });
    await expect(kms.decrypt(acme(arn), wrapped, CONTEXT)).rejects.toMatchObject({ code: 'KEY_DENIED' });
    expect((await kms.generateDataKey(acme(arn), CONTEXT)).plaintext).toHaveLength(32);
    denial.clear();
    setup.fault('accessDenied', { key: arn, context: { period: '2020-01-01T00:00Z' } });
    expect(await kms.decrypt(acme(arn), wrapped, CONTEXT)).toHaveLength(32);
    await expect(kms.generateDataKey(acme(arn), { ...CONTEXT, period: '2020-01-01T00:00Z' })).rejects.toMatchObject({
      code: 'KEY_DENIED',
    });
  });

  test('completes a hanging call after its injected error is cleared', async () => {
    const hang = setup.fault('hang', { key: arn });
    const call = kms.generateDataKey(acme(arn), CONTEXT);
    await eventually(() => hang.waiting === 1);
    expect(setup.counts.count({ key: arn, result: 'open' })).toBe(1);
    hang.clear();
    expect((await call).plaintext).toHaveLength(32);
  });

  test('ends a hanging call within seconds with KMS_FAILED', async () => {
    using _real = realDeadlines();
    setup.fault('hang', { key: arn });
    await expect(kms.generateDataKey(acme(arn), CONTEXT)).rejects.toMatchObject({
      code: 'KMS_FAILED',
      reason: 'TimeoutError',
    });
  });

  test('counts calls by operation, key, tenant and result', async () => {
    const key = setup.keys.createKey();
    const { wrapped } = await kms.generateDataKey(acme(key), CONTEXT);
    await kms.decrypt(acme(key), wrapped, { ...CONTEXT });
    expect(setup.counts.count({ key })).toBe(2);
    expect(setup.counts.count({ key, operation: 'Decrypt', tenant: 'acme', result: 'ok' })).toBe(1);
    expect(setup.counts.count({ key, tenant: 'other' })).toBe(0);
  });

  test("rejects calls with a tenant's key after close()", async () => {
    const own = setup.connect();
    own.close();
    await expect(own.generateDataKey(acme(arn), CONTEXT)).rejects.toMatchObject({
      code: 'KMS_FAILED',
      reason: 'Closed',
    });
  });
});
