// Testing a key: both calls are made, a denial of either is reported, and no plaintext remains.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { FakeClock } from '../support/clock.ts';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { tryKey } from '../../src/keys/try-key.ts';
import { isZeroed, openFixture, type OneRing, type Fixture } from './fixture.ts';

let fixture: Fixture;
let one: OneRing;

beforeAll(async () => {
  fixture = await openFixture();
  one = await fixture.open();
});

afterEach(() => {
  fixture.kms.faults.clear();
  fixture.kms.counts.reset();
});

afterAll(() => fixture[Symbol.asyncDispose]());

const clock = new FakeClock();

const OPERATIONS = ['GenerateDataKey', 'Decrypt'] as const;

/** The calls with the key, with their results. */
const callsFor = (arn: string): string[] =>
  fixture.kms.counts
    .all()
    .filter(({ key }) => key === arn)
    .map(({ operation, tenant, result, count }) => `${operation} ${tenant} ${result} ${count}`);

test('a working key is tested by one call of each kind, and both plaintexts are wiped', async () => {
  const ref = fixture.tenant();
  const before = one.plaintexts.length;
  await tryKey({ kms: one.kms, clock }, ref, 'documents');
  expect(callsFor(ref.keyArn)).toEqual(OPERATIONS.map((operation) => `${operation} ${ref.tenant} ok 1`));
  const plaintexts = one.plaintexts.slice(before);
  expect(plaintexts).toHaveLength(2);
  expect(plaintexts.every(isZeroed)).toBe(true);
});

test.each(OPERATIONS)('a key with %s denied is denied, and existing plaintexts are wiped', async (operation) => {
  const ref = fixture.tenant();
  fixture.kms.faults.set({ match: { key: ref.keyArn, operation }, fault: KMS_FAULTS.accessDenied });
  const before = one.plaintexts.length;
  await expect(tryKey({ kms: one.kms, clock }, ref, 'documents')).rejects.toMatchObject({
    code: 'KEY_DENIED',
    keyArn: ref.keyArn,
    deniedBy: 'tenant',
  });
  const plaintexts = one.plaintexts.slice(before);
  expect(plaintexts).toHaveLength(operation === 'Decrypt' ? 1 : 0);
  expect(plaintexts.every(isZeroed)).toBe(true);
});

test('a key fails the test if Decrypt returns different bytes', async () => {
  const ref = fixture.tenant();
  const given: Buffer[] = [];
  const lying: Kms = {
    ...one.kms,
    async decrypt(...args) {
      const plaintext = await one.kms.decrypt(...args);
      plaintext[31]! ^= 1;
      given.push(plaintext);
      return plaintext;
    },
  };
  await expect(tryKey({ kms: lying, clock }, ref, 'documents')).rejects.toMatchObject({
    code: 'INTERNAL',
    reason: 'OtherPlaintext',
  });
  expect(given.map(isZeroed)).toEqual([true]);
});
