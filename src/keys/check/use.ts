// Real calls with a KMS key, in the correct and in wrong contexts, which is the only way to test permissions. No plaintext
// outlives its step: only its hash is kept for comparison.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyRef } from '../../runtime/key-ref.ts';
import type { SealdexError } from '../../runtime/errors.ts';
import type { KeyContext } from '../data-key.ts';
import type { KeyCalls } from '../kms.ts';
import { failed, passed, PROXY, refusalIn, refused, warning, type CheckStep, type KeyStep } from './step.ts';

type Tried<T> =
  | { readonly answer: T; readonly fault?: never }
  | { readonly answer?: never; readonly fault: SealdexError };

async function tried<T>(call: Promise<T>): Promise<Tried<T>> {
  try {
    return { answer: await call };
  } catch (error) {
    return { fault: refusalIn(error) };
  }
}

/** Zeroes the plaintext; the hash is enough to recognize it. */
function hashAndWipe(plaintext: Buffer): Buffer {
  try {
    return createHash('sha256').update(plaintext).digest();
  } finally {
    plaintext.fill(0);
  }
}

interface Wrapped {
  readonly wrapped: Buffer;
  readonly hash: Buffer;
}

/** @throws SealdexError if KMS gives no result about the key; the signal's reason */
export async function* useSteps(
  calls: KeyCalls,
  key: KeyRef,
  context: KeyContext,
  signal?: AbortSignal,
): AsyncGenerator<CheckStep> {
  const made = await tried(newDataKey(calls, key, context, signal));
  yield made.fault
    ? refused('GenerateDataKey', 'kms:GenerateDataKey*', key, made.fault)
    : passed('GenerateDataKey', 'GenerateDataKey works.');
  const encrypted = await tried(encrypt(calls, key, context, signal));
  yield encrypted.fault ? refused('Encrypt', 'kms:Encrypt', key, encrypted.fault) : passed('Encrypt', 'Encrypt works.');
  const wrapped = made.answer ?? encrypted.answer;
  if (!wrapped) {
    for (const step of ['Decrypt', 'ReEncrypt'] as const)
      yield failed(step, 'Skipped: no ciphertext to test with.', 'Fix the failed checks above and check again.');
    return;
  }
  const decrypted = await tried(decrypt(calls, key, wrapped, context, signal));
  yield decryptStep(key, decrypted);
  const moved = await tried(calls.reEncrypt(key, wrapped.wrapped, context, signal));
  yield moved.fault
    ? refused('ReEncrypt', 'kms:ReEncrypt*', key, moved.fault)
    : passed('ReEncrypt', 'ReEncrypt works.');
  if (decrypted.answer !== undefined) yield await wrongContextStep(calls, key, wrapped, context, signal);
  if (made.answer) yield await otherTenantStep(calls, key, context, signal);
}

async function newDataKey(calls: KeyCalls, key: KeyRef, context: KeyContext, signal?: AbortSignal): Promise<Wrapped> {
  const { plaintext, wrapped } = await calls.generateDataKey(key, context, signal);
  return { wrapped, hash: hashAndWipe(plaintext) };
}

async function encrypt(calls: KeyCalls, key: KeyRef, context: KeyContext, signal?: AbortSignal): Promise<Wrapped> {
  const plaintext = randomBytes(32);
  try {
    const wrapped = await calls.encrypt(key, plaintext, context, signal);
    return { wrapped, hash: hashAndWipe(plaintext) };
  } finally {
    plaintext.fill(0);
  }
}

/** Tests that Decrypt returns the same bytes. */
async function decrypt(
  calls: KeyCalls,
  key: KeyRef,
  { wrapped, hash }: Wrapped,
  context: KeyContext,
  signal?: AbortSignal,
): Promise<boolean> {
  return timingSafeEqual(hashAndWipe(await calls.decrypt(key, wrapped, context, signal)), hash);
}

function decryptStep(key: KeyRef, { answer, fault }: Tried<boolean>): CheckStep {
  if (fault) return refused('Decrypt', 'kms:Decrypt', key, fault);
  if (answer) return passed('Decrypt', 'Decrypt returns the original data.');
  return failed('Decrypt', 'Decrypt returned different data.', PROXY);
}

const LONG_AGO = '2000-01-01T00:00Z';

/** Uses the tenant's own name, so that the key policy allows the call: KMS itself must detect the other context. */
async function wrongContextStep(
  calls: KeyCalls,
  key: KeyRef,
  wrapped: Wrapped,
  context: KeyContext,
  signal?: AbortSignal,
): Promise<CheckStep> {
  const { fault } = await tried(decrypt(calls, key, wrapped, { ...context, period: LONG_AGO }, signal));
  if (fault)
    return passed('wrong context', `Decrypt with a wrong encryption context fails (${fault.reason ?? fault.code}).`);
  return warning(
    'wrong context',
    'Decrypt also works with a wrong encryption context. The endpoint is not KMS, or a proxy drops the context.',
    'Do not use it: data keys are not bound to tenants.',
  );
}

const OTHER_TENANTS = ['another-tenant', 'one-more-tenant'] as const;

async function otherTenantStep(
  calls: KeyCalls,
  key: KeyRef,
  context: KeyContext,
  signal?: AbortSignal,
): Promise<CheckStep> {
  const { tenant } = key;
  const [one, other] = OTHER_TENANTS;
  const step: KeyStep = 'other tenant';
  const foreign = { ...context, tenant: tenant === one ? other : one };
  const { fault } = await tried(newDataKey(calls, key, foreign, signal));
  if (fault)
    return passed(step, `The key fails with another tenant's encryption context (${fault.reason ?? fault.code}).`);
  return warning(
    step,
    "The key policy does not restrict the key to this tenant's encryption context.",
    `Ask the tenant to add the condition kms:EncryptionContext:tenant = ${tenant}. Statements: sealdex keys policy --tenant ${tenant} --principal ROLE_ARN`,
  );
}
