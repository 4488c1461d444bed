// The check of a key with a faulty KMS, which leaves nothing in memory.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { checkSteps, type CheckStep } from '../../src/keys/check.ts';
import type { KeyCalls } from '../../src/keys/kms.ts';
import type { KeyRef } from '../../src/runtime/key-ref.ts';
import { FakeClock } from '../support/clock.ts';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { contextOf, isZeroed, openFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;
let calls: KeyCalls;

beforeAll(async () => {
  fixture = await openFixture();
  calls = fixture.kms.connectCalls();
});

afterEach(() => fixture.kms.faults.clear());

afterAll(async () => {
  calls.close();
  await fixture[Symbol.asyncDispose]();
});

interface Seen {
  readonly steps: CheckStep[];
  /** The original buffers of plaintexts. */
  readonly plaintexts: Uint8Array[];
  /** For each step: whether all earlier plaintexts were wiped when it was reported. */
  readonly wereWiped: boolean[];
}

async function seen(key: KeyRef, over: Partial<KeyCalls> = {}): Promise<Seen> {
  const plaintexts: Uint8Array[] = [];
  const target: KeyCalls = { ...calls, ...over };
  const watched: KeyCalls = {
    ...calls,
    async generateDataKey(...args) {
      const made = await target.generateDataKey(...args);
      plaintexts.push(made.plaintext);
      return made;
    },
    async decrypt(...args) {
      const plaintext = await target.decrypt(...args);
      plaintexts.push(plaintext);
      return plaintext;
    },
    encrypt(ref, plaintext, ...args) {
      plaintexts.push(plaintext);
      return target.encrypt(ref, plaintext, ...args);
    },
  };
  const steps: CheckStep[] = [];
  const wereWiped: boolean[] = [];
  const config = { region: 'us-west-2', platformKeyArn: fixture.platformKeyArn, platformFormerKeyArns: [] };
  const deps = { config, clock: new FakeClock(), keyCalls: watched };
  for await (const step of checkSteps(deps, key)) {
    steps.push(step);
    wereWiped.push(plaintexts.every(isZeroed));
  }
  return { steps, plaintexts, wereWiped };
}

const statusOf = ({ steps }: Seen, name: string): string | undefined => steps.find(({ step }) => step === name)?.status;

test('a plaintext is wiped at the end of its step', async () => {
  const { plaintexts, wereWiped } = await seen(fixture.tenant());
  // Created, encrypted, decrypted, and created for another tenant, since this key policy has no tenant.
  expect(plaintexts).toHaveLength(4);
  expect(wereWiped).toEqual(wereWiped.map(() => true));
});

test('existing plaintexts are wiped if a call fails', async () => {
  const key = fixture.tenant();
  fixture.kms.faults.set({ match: { key: key.keyArn, operation: 'Encrypt' }, fault: KMS_FAULTS.accessDenied });
  const { plaintexts, wereWiped } = await seen(key);
  expect(plaintexts).toHaveLength(4);
  expect(wereWiped).toEqual(wereWiped.map(() => true));
});

test('a KMS that ignores the context causes a warning', async () => {
  const key = fixture.tenant();
  const one = contextOf('nobody');
  const found = await seen(key, {
    generateDataKey: (ref) => calls.generateDataKey(ref, one),
    decrypt: (ref, wrapped) => calls.decrypt(ref, wrapped, one),
    encrypt: (ref, plaintext) => calls.encrypt(ref, plaintext, one),
  });
  expect(statusOf(found, 'Decrypt')).toBe('ok');
  expect(statusOf(found, 'wrong context')).toBe('warn');
  expect(found.wereWiped.every(Boolean)).toBe(true);
});

test('a key fails the check if Decrypt returns different bytes', async () => {
  const found = await seen(fixture.tenant(), {
    async decrypt(...args) {
      const plaintext = await calls.decrypt(...args);
      plaintext[31]! ^= 1;
      return plaintext;
    },
  });
  expect(statusOf(found, 'Decrypt')).toBe('fail');
  expect(found.wereWiped.every(Boolean)).toBe(true);
});

test('Decrypt is tested with the ciphertext of Encrypt if GenerateDataKey is denied', async () => {
  const key = fixture.tenant();
  fixture.kms.faults.set({ match: { key: key.keyArn, operation: 'GenerateDataKey' }, fault: KMS_FAULTS.accessDenied });
  const found = await seen(key);
  expect(statusOf(found, 'GenerateDataKey')).toBe('fail');
  expect(statusOf(found, 'Decrypt')).toBe('ok');
  expect(statusOf(found, 'other tenant')).toBeUndefined();
});
