// A refusal by KMS: what it costs the tenant's keys in this process, and whom it spares.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOf, contextOf, isZeroed, openRoom, type OneRing, type Room } from './fixture.ts';

let room: Room;

beforeAll(async () => {
  room = await openRoom();
});

afterEach(() => {
  room.kms.faults.clear();
  room.kms.setState(room.platformKeyArn, 'Enabled');
});

afterAll(() => room[Symbol.asyncDispose]());

/** A wrapped key that the ring does not hold: reading it asks KMS. */
async function unread({ kms }: OneRing, tenant: string, arn: string): Promise<Buffer> {
  return (await kms.generateDataKey(keyRef(tenant, arn), contextOf(tenant))).wrapped;
}

const refusals: [string, (arn: string) => unknown, string][] = [
  ['disabled', (arn) => room.kms.disable(arn), 'KEY_DISABLED'],
  ['pending deletion', (arn) => room.kms.scheduleDeletion(arn), 'KEY_PENDING_DELETION'],
  ['pending import', (arn) => room.kms.setState(arn, 'PendingImport'), 'KEY_PENDING_IMPORT'],
  ['unavailable', (arn) => room.kms.setState(arn, 'Unavailable'), 'KEY_UNAVAILABLE'],
  ['denied', (key) => room.kms.faults.set({ match: { key }, fault: KMS_FAULTS.accessDenied }), 'KEY_DENIED'],
  ['gone', (arn) => room.kms.forget(arn), 'KEY_NOT_FOUND'],
];

test.each(refusals)(
  'A KMS key found %s has all its data keys of that tenant wiped, and no others',
  async (_, refuse, code) => {
    const [{ tenant, arn }, other] = [room.tenant(), room.tenant()];
    const one = await room.open();
    const { ring } = one;
    const next = await unread(one, tenant, arn);
    const wiped = [
      await ring.current(keyRef(tenant, arn), 'documents', 1),
      await ring.current(keyRef(tenant, arn), 'intake', 1),
    ];
    const spared = [
      await ring.current(keyRef(tenant, other.arn), 'documents', 1),
      await ring.current(keyRef(other.tenant, other.arn), 'documents', 1),
      // Two tenants may share a KMS key and be denied apart.
      await ring.current(keyRef(other.tenant, arn), 'documents', 1),
    ];
    const bytes = [...wiped, ...spared].map(bytesOf);
    refuse(arn);
    await expect(ring.unwrap(keyRef(tenant, arn), next, contextOf(tenant))).rejects.toMatchObject({ code });
    expect(bytes.map(isZeroed)).toEqual([true, true, false, false, false]);
    await expect(ring.current(keyRef(tenant, arn), 'documents', 1)).rejects.toMatchObject({ code });
  },
);

test('A denial of a period that is past says nothing of the keys of now, which go on without a call', async () => {
  const { tenant, arn } = room.tenant();
  const one = await room.open();
  const current = await one.ring.current(keyRef(tenant, arn), 'documents', 1);
  const past = { ...contextOf(tenant), period: '2020-01-01T00:00Z' };
  const { wrapped } = await one.kms.generateDataKey(keyRef(past.tenant, arn), past);
  room.kms.faults.set({ match: { key: arn, context: { period: past.period } }, fault: KMS_FAULTS.accessDenied });
  await expect(one.ring.unwrap(keyRef(past.tenant, arn), wrapped, past)).rejects.toMatchObject({
    code: 'PERIOD_DENIED',
  });
  expect(isZeroed(bytesOf(current))).toBe(false);
  const before = room.kms.counts.count({ key: arn });
  expect(await one.ring.current(keyRef(tenant, arn), 'documents', 1)).toBe(current);
  expect(room.kms.counts.count({ key: arn })).toBe(before);
});

test.each([
  ['throttled', KMS_FAULTS.throttled, 'KMS_THROTTLED'],
  ['failing', KMS_FAULTS.internal, 'KMS_FAILED'],
  ['refusing our credentials', KMS_FAULTS.expiredCredentials, 'PLATFORM_CREDENTIALS'],
  ['given rubbish to unwrap', KMS_FAULTS.invalidCiphertext, 'OBJECT_TAMPERED'],
] as const)('A KMS that is %s says nothing of the KMS key: data keys at hand stay', async (_, fault, code) => {
  const { tenant, arn } = room.tenant();
  const one = await room.open();
  const next = await unread(one, tenant, arn);
  const key = await one.ring.current(keyRef(tenant, arn), 'documents', 1);
  room.kms.faults.set({ match: { key: arn }, fault });
  await expect(one.ring.unwrap(keyRef(tenant, arn), next, contextOf(tenant))).rejects.toMatchObject({ code });
  expect(await one.ring.current(keyRef(tenant, arn), 'documents', 1)).toBe(key);
});

test('A platform key that cannot be used has the keys of the tenant that met it wiped', async () => {
  const [{ tenant }, other] = [room.tenant(), room.tenant()];
  const arn = room.platformKeyArn;
  const one = await room.open();
  const next = await unread(one, tenant, arn);
  const bytes = [
    bytesOf(await one.ring.current(keyRef(tenant, arn), 'documents', 1)),
    bytesOf(await one.ring.current(keyRef(other.tenant, arn), 'documents', 1)),
  ];
  room.kms.disable(arn);
  await expect(one.ring.unwrap(keyRef(tenant, arn), next, contextOf(tenant))).rejects.toMatchObject({
    code: 'PLATFORM_KEY',
  });
  expect(bytes.map(isZeroed)).toEqual([true, false]);
});

test('A key on its way while its KMS key is refused does not survive, and is asked for anew', async () => {
  const { tenant, arn } = room.tenant();
  const one = await room.open();
  const [slow, refused] = [await unread(one, tenant, arn), await unread(one, tenant, arn)];
  const before = one.plaintexts.length;
  const hang = room.kms.faults.set({ match: { key: arn }, fault: { kind: 'hang' }, times: 1 });
  const reading = one.ring.unwrap(keyRef(tenant, arn), slow, contextOf(tenant));
  await eventually(() => hang.waiting === 1);
  const denial = room.kms.faults.set({ match: { key: arn }, fault: KMS_FAULTS.accessDenied, times: 1 });
  await expect(one.ring.unwrap(keyRef(tenant, arn), refused, contextOf(tenant))).rejects.toMatchObject({
    code: 'KEY_DENIED',
  });
  expect(denial.met).toBe(1);
  hang.clear();
  const key = await reading;
  expect(one.plaintexts.slice(before).map(isZeroed)).toEqual([true, false]);
  expect(bytesOf(key)).toBe(one.plaintexts.at(-1));
});
