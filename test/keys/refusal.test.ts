// A denial by KMS: its effect on the tenant's keys in this process, and on no others.
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOf, contextOf, isZeroed, openFixture, type OneRing, type Fixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await openFixture();
});

afterEach(() => {
  fixture.kms.faults.clear();
  fixture.kms.setState(fixture.platformKeyArn, 'Enabled');
});

afterAll(() => fixture[Symbol.asyncDispose]());

/** A wrapped key without a cached one: reading it needs a KMS call. */
async function unread({ kms }: OneRing, ref: KeyRef): Promise<Buffer> {
  return (await kms.generateDataKey(ref, contextOf(ref.tenant))).wrapped;
}

const refusals: [string, (arn: string) => unknown, string][] = [
  ['disabled', (arn) => fixture.kms.disable(arn), 'KEY_DISABLED'],
  ['pending deletion', (arn) => fixture.kms.scheduleDeletion(arn), 'KEY_PENDING_DELETION'],
  ['pending import', (arn) => fixture.kms.setState(arn, 'PendingImport'), 'KEY_PENDING_IMPORT'],
  ['unavailable', (arn) => fixture.kms.setState(arn, 'Unavailable'), 'KEY_UNAVAILABLE'],
  ['denied', (key) => fixture.kms.faults.set({ match: { key }, fault: KMS_FAULTS.accessDenied }), 'KEY_DENIED'],
  ['gone', (arn) => fixture.kms.forget(arn), 'KEY_NOT_FOUND'],
];

test.each(refusals)(
  'a KMS key found %s loses all its data keys of that tenant, and no others',
  async (_, refuse, code) => {
    const [ref, other] = [fixture.tenant(), fixture.tenant()];
    const one = await fixture.open();
    const { ring } = one;
    const next = await unread(one, ref);
    const wiped = [await ring.current(ref, 'documents', 1), await ring.current(ref, 'intake', 1)];
    const spared = [
      await ring.current(keyRef(ref.tenant, other.keyArn), 'documents', 1),
      await ring.current(other, 'documents', 1),
      // Two tenants may share a KMS key and be denied separately.
      await ring.current(keyRef(other.tenant, ref.keyArn), 'documents', 1),
    ];
    const bytes = [...wiped, ...spared].map(bytesOf);
    refuse(ref.keyArn);
    await expect(ring.unwrap(ref, next, contextOf(ref.tenant))).rejects.toMatchObject({ code });
    expect(bytes.map(isZeroed)).toEqual([true, true, false, false, false]);
    await expect(ring.current(ref, 'documents', 1)).rejects.toMatchObject({ code });
  },
);

test('a denied past period does not affect current keys, which are used without a call', async () => {
  const ref = fixture.tenant();
  const one = await fixture.open();
  const current = await one.ring.current(ref, 'documents', 1);
  const past = { ...contextOf(ref.tenant), period: '2020-01-01T00:00Z' };
  const { wrapped } = await one.kms.generateDataKey(ref, past);
  fixture.kms.faults.set({
    match: { key: ref.keyArn, context: { period: past.period } },
    fault: KMS_FAULTS.accessDenied,
  });
  await expect(one.ring.unwrap(ref, wrapped, past)).rejects.toMatchObject({
    code: 'PERIOD_DENIED',
  });
  expect(isZeroed(bytesOf(current))).toBe(false);
  const before = fixture.kms.counts.count({ key: ref.keyArn });
  expect(await one.ring.current(ref, 'documents', 1)).toBe(current);
  expect(fixture.kms.counts.count({ key: ref.keyArn })).toBe(before);
});

test.each([
  ['throttled', KMS_FAULTS.throttled, 'KMS_THROTTLED'],
  ['failing', KMS_FAULTS.internal, 'KMS_FAILED'],
  ["rejecting sealdex's credentials", KMS_FAULTS.expiredCredentials, 'PLATFORM_CREDENTIALS'],
  ['given invalid bytes to unwrap', KMS_FAULTS.invalidCiphertext, 'OBJECT_TAMPERED'],
] as const)('a KMS error other than a denial (%s) wipes no cached data key', async (_, fault, code) => {
  const ref = fixture.tenant();
  const one = await fixture.open();
  const next = await unread(one, ref);
  const key = await one.ring.current(ref, 'documents', 1);
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault });
  await expect(one.ring.unwrap(ref, next, contextOf(ref.tenant))).rejects.toMatchObject({ code });
  expect(await one.ring.current(ref, 'documents', 1)).toBe(key);
});

test('an unusable platform key wipes the keys of the affected tenant only', async () => {
  const [{ tenant }, other] = [fixture.tenant(), fixture.tenant()];
  const ref = keyRef(tenant, fixture.platformKeyArn);
  const one = await fixture.open();
  const next = await unread(one, ref);
  const bytes = [
    bytesOf(await one.ring.current(ref, 'documents', 1)),
    bytesOf(await one.ring.current(keyRef(other.tenant, ref.keyArn), 'documents', 1)),
  ];
  fixture.kms.disable(ref.keyArn);
  await expect(one.ring.unwrap(ref, next, contextOf(ref.tenant))).rejects.toMatchObject({
    code: 'PLATFORM_KEY',
  });
  expect(bytes.map(isZeroed)).toEqual([true, false]);
});

test('a data key requested before its KMS key is denied is wiped on arrival and requested again', async () => {
  const ref = fixture.tenant();
  const one = await fixture.open();
  const [slow, refused] = [await unread(one, ref), await unread(one, ref)];
  const before = one.plaintexts.length;
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' }, times: 1 });
  const reading = one.ring.unwrap(ref, slow, contextOf(ref.tenant));
  await eventually(() => hang.waiting === 1);
  const denial = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_FAULTS.accessDenied, times: 1 });
  await expect(one.ring.unwrap(ref, refused, contextOf(ref.tenant))).rejects.toMatchObject({
    code: 'KEY_DENIED',
  });
  expect(denial.met).toBe(1);
  hang.clear();
  const key = await reading;
  expect(one.plaintexts.slice(before).map(isZeroed)).toEqual([true, false]);
  expect(bytesOf(key)).toBe(one.plaintexts.at(-1));
});
