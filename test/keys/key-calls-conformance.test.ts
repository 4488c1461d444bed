// The common behavior of the port for calls that examine a key: the adapter over the local KMS and the double pass the same
// tests.
import { KMS_ERRORS } from '@sealdex/local-aws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createKeyCalls } from '../../src/keys/aws/key-calls.ts';
import type { KeyContext } from '../../src/keys/data-key.ts';
import { isWrongWrapping, type KeyCalls } from '../../src/keys/kms.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { openLocalKms } from '../support/local-kms.ts';
import { KMS_FAULTS, MemoryKms } from '../support/memory-kms.ts';

const CONTEXT: KeyContext = { tenant: 'acme', period: '2026-11-23T12:00Z', purpose: 'documents' };
const DATA = Buffer.alloc(32, 'data');

type Operation = 'DescribeKey' | 'GenerateDataKey' | 'Decrypt' | 'Encrypt' | 'ReEncrypt';
type FaultName = 'throttled' | 'internal' | 'expiredCredentials' | 'accessDenied' | 'accessDeniedByUs';

interface Match {
  readonly key: string;
  readonly operation?: Operation;
  readonly context?: Partial<KeyContext>;
}

/** A KMS and the ways to change its keys. */
interface Setup extends AsyncDisposable {
  readonly keys: Pick<MemoryKms, 'createKey' | 'disable' | 'scheduleDeletion' | 'forget' | 'platformKeyArn'>;
  readonly counts: Pick<MemoryKms['counts'], 'count'>;
  fault(name: FaultName | 'hang', match: Match): { clear(): void; readonly waiting: number };
  clearFaults(): void;
  connect(): KeyCalls;
}

function memorySetup(): Setup {
  const kms = new MemoryKms();
  return {
    keys: kms,
    counts: kms.counts,
    fault: (name, match) => kms.faults.set({ match, fault: name === 'hang' ? { kind: 'hang' } : KMS_FAULTS[name] }),
    clearFaults: () => kms.faults.clear(),
    connect: () => kms.connectCalls(),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function adapterSetup(): Promise<Setup> {
  const { kms, config, [Symbol.asyncDispose]: dispose } = await openLocalKms();
  return {
    keys: { ...kms, platformKeyArn: config.platformKeyArn },
    counts: kms.counts,
    fault: (name, match) => kms.faults.set({ match, fault: name === 'hang' ? { kind: 'hang' } : KMS_ERRORS[name] }),
    clearFaults: () => kms.faults.clear(),
    connect: () => createKeyCalls(config, noAudit),
    [Symbol.asyncDispose]: dispose,
  };
}

describe.each([
  ['the adapter over the local KMS', adapterSetup],
  ['the double in memory', memorySetup],
])('%s', (_, open) => {
  let setup: Setup;
  let calls: KeyCalls;
  let key: KeyRef;

  beforeAll(async () => {
    setup = await open();
    key = keyRef('acme', setup.keys.createKey());
    calls = setup.connect();
  });

  afterEach(() => setup.clearFaults());

  afterAll(async () => {
    calls.close();
    await setup[Symbol.asyncDispose]();
  });

  const newKey = (): KeyRef => keyRef('acme', setup.keys.createKey());
  const errorOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'no error',
      (error: unknown) => error,
    );

  /** Each call, with bytes encrypted before. */
  const CALLS: [Operation, (ref: KeyRef, wrapped: Buffer, signal?: AbortSignal) => Promise<unknown>][] = [
    ['DescribeKey', (ref, _wrapped, signal) => calls.describe(ref, signal)],
    ['GenerateDataKey', (ref, _wrapped, signal) => calls.generateDataKey(ref, CONTEXT, signal)],
    ['Decrypt', (ref, wrapped, signal) => calls.decrypt(ref, wrapped, CONTEXT, signal)],
    ['Encrypt', (ref, _wrapped, signal) => calls.encrypt(ref, DATA, CONTEXT, signal)],
    ['ReEncrypt', (ref, wrapped, signal) => calls.reEncrypt(ref, wrapped, CONTEXT, signal)],
  ];
  const USES = CALLS.filter(([operation]) => operation !== 'DescribeKey');

  test('describes a new key', async () => {
    expect(await calls.describe(key)).toEqual({
      spec: 'SYMMETRIC_DEFAULT',
      usage: 'ENCRYPT_DECRYPT',
      state: 'Enabled',
      origin: 'AWS_KMS',
    });
  });

  test('describes a disabled key, and the deletion date of a key pending deletion', async () => {
    const [disabled, deleted] = [newKey(), newKey()];
    setup.keys.disable(disabled.keyArn);
    setup.keys.scheduleDeletion(deleted.keyArn, { days: 7 });
    expect((await calls.describe(disabled)).state).toBe('Disabled');
    const { state, deletesAt = 0 } = await calls.describe(deleted);
    expect(state).toBe('PendingDeletion');
    expect(Math.abs(deletesAt - Date.now() - 7 * 86_400_000)).toBeLessThan(600_000);
  });

  test('decrypts a data key to its plaintext of 32 bytes, in a separate buffer', async () => {
    const { plaintext, wrapped } = await calls.generateDataKey(key, CONTEXT);
    const decrypted = await calls.decrypt(key, wrapped, CONTEXT);
    expect(decrypted.equals(plaintext)).toBe(true);
    expect([plaintext.length, decrypted.buffer.byteLength]).toEqual([32, 32]);
  });

  test('decrypts what it encrypted, also after it was encrypted again, and leaves the plaintext unchanged', async () => {
    const plaintext = Buffer.from(DATA);
    const encrypted = await calls.encrypt(key, plaintext, CONTEXT);
    const again = await calls.reEncrypt(key, encrypted, CONTEXT);
    expect(plaintext.equals(DATA)).toBe(true);
    expect(again.equals(encrypted)).toBe(false);
    for (const wrapped of [encrypted, again])
      expect((await calls.decrypt(key, wrapped, CONTEXT)).equals(DATA)).toBe(true);
  });

  test('rejects bytes that are not a data key', async () => {
    const wrapped = await calls.encrypt(key, DATA.subarray(1), CONTEXT);
    expect(await errorOf(calls.decrypt(key, wrapped, CONTEXT))).toMatchObject({
      code: 'INTERNAL',
      reason: 'KeyLength',
    });
  });

  test.each([
    ['another context', () => key, { ...CONTEXT, period: '2000-01-01T00:00Z' }, 'InvalidCiphertextException'],
    ['another key', newKey, CONTEXT, 'IncorrectKeyException'],
  ] as const)('rejects bytes of %s', async (_name, ref, context, reason) => {
    const wrapped = await calls.encrypt(key, DATA, CONTEXT);
    for (const call of [calls.decrypt(ref(), wrapped, context), calls.reEncrypt(ref(), wrapped, context)]) {
      const error = await errorOf(call);
      expect(isWrongWrapping(error)).toBe(true);
      expect(error).toMatchObject({ reason });
    }
  });

  test("encrypts in the context of another tenant than the key's", async () => {
    const foreign = { ...CONTEXT, tenant: 'globex' };
    const { wrapped } = await calls.generateDataKey(key, foreign);
    expect(await calls.decrypt(key, wrapped, foreign)).toHaveLength(32);
    expect(isWrongWrapping(await errorOf(calls.decrypt(key, wrapped, CONTEXT)))).toBe(true);
  });

  test.each(USES)('rejects %s with a disabled key, and names the key', async (_operation, call) => {
    const own = newKey();
    const wrapped = await calls.encrypt(own, DATA, CONTEXT);
    setup.keys.disable(own.keyArn);
    expect(await errorOf(call(own, wrapped))).toMatchObject({ code: 'KEY_DISABLED', keyArn: own.keyArn });
  });

  test.each(CALLS)('rejects %s with a deleted key', async (_operation, call) => {
    const own = newKey();
    const wrapped = await calls.encrypt(own, DATA, CONTEXT);
    setup.keys.forget(own.keyArn);
    expect(await errorOf(call(own, wrapped))).toMatchObject({ code: 'KEY_NOT_FOUND', keyArn: own.keyArn });
  });

  test.each(CALLS)('denies %s and no other call', async (operation, call) => {
    const wrapped = await calls.encrypt(key, DATA, CONTEXT);
    setup.fault('accessDenied', { key: key.keyArn, operation });
    expect(await errorOf(call(key, wrapped))).toMatchObject({
      code: 'KEY_DENIED',
      deniedBy: 'tenant',
      keyArn: key.keyArn,
    });
    for (const [, allowed] of CALLS.filter(([other]) => other !== operation))
      expect(await errorOf(allowed(key, wrapped))).toBe('no error');
  });

  test('denies the calls in one context, and describes the key', async () => {
    setup.fault('accessDenied', { key: key.keyArn, context: { tenant: 'globex' } });
    const foreign = { ...CONTEXT, tenant: 'globex' };
    expect(await errorOf(calls.generateDataKey(key, foreign))).toMatchObject({ code: 'KEY_DENIED' });
    expect(await errorOf(calls.generateDataKey(key, CONTEXT))).toBe('no error');
    expect((await calls.describe(key)).state).toBe('Enabled');
  });

  test.each([
    ['throttled', { code: 'KMS_THROTTLED' }],
    ['internal', { code: 'KMS_FAILED' }],
    ['expiredCredentials', { code: 'PLATFORM_CREDENTIALS' }],
    ['accessDeniedByUs', { code: 'KEY_DENIED', deniedBy: 'operator' }],
  ] as const)('throws the code and the key of an injected error: %s', async (name, expected) => {
    setup.fault(name, { key: key.keyArn });
    const own = setup.connect();
    expect(await errorOf(own.encrypt(key, DATA, CONTEXT))).toMatchObject({ ...expected, keyArn: key.keyArn });
    own.close();
  });

  test('rejects an invalid ARN', async () => {
    const error = await errorOf(calls.generateDataKey(keyRef('acme', 'arn:aws:kms:no'), CONTEXT));
    expect(error).toMatchObject({ code: 'TENANT_KEY_INVALID' });
  });

  test('throws PLATFORM_KEY if the platform key is denied', async () => {
    const { platformKeyArn } = setup.keys;
    setup.fault('accessDenied', { key: platformKeyArn });
    const error = await errorOf(calls.encrypt(keyRef('-', platformKeyArn), DATA, CONTEXT));
    expect(error).toMatchObject({ code: 'PLATFORM_KEY', keyArn: platformKeyArn });
  });

  test("ends at the caller's signal with its reason", async () => {
    const hang = setup.fault('hang', { key: key.keyArn });
    const controller = new AbortController();
    const reason = new Error('the check has to end');
    const call = errorOf(calls.encrypt(key, DATA, CONTEXT, controller.signal));
    await eventually(() => hang.waiting === 1);
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(await errorOf(calls.describe(key, controller.signal))).toBe(reason);
  });

  test('ends a hanging call within seconds with KMS_FAILED', async () => {
    using _real = realDeadlines();
    setup.fault('hang', { key: key.keyArn });
    expect(await errorOf(calls.describe(key))).toMatchObject({ code: 'KMS_FAILED', reason: 'TimeoutError' });
  });

  test('counts calls by operation', async () => {
    const own = newKey();
    const wrapped = await calls.encrypt(own, DATA, CONTEXT);
    for (const [, call] of CALLS) await call(own, wrapped);
    const counted = CALLS.map(([operation]) => setup.counts.count({ key: own.keyArn, operation, result: 'ok' }));
    expect(counted).toEqual([1, 1, 1, 2, 1]);
  });
});
