// The first use of a tenant's data key in a process: the number of KMS calls, the effect of a failure, and waiting callers.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOf, contextOf, isZeroed, openFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await openFixture();
});

afterEach(() => fixture.kms.faults.clear());

afterAll(() => fixture[Symbol.asyncDispose]());

test('200 parallel first uses are one KMS call', async () => {
  const ref = fixture.tenant();
  const { ring } = await fixture.open();
  const keys = await Promise.all(Array.from({ length: 200 }, () => ring.current(ref, 'documents', 10)));
  expect(new Set(keys).size).toBe(1);
  expect(bytesOf(keys[0]!)).toHaveLength(32);
  expect(fixture.kms.counts.count({ tenant: ref.tenant })).toBe(1);
  expect(fixture.kms.counts.count({ tenant: ref.tenant, operation: 'GenerateDataKey', result: 'ok' })).toBe(1);
});

test('200 parallel first reads of one wrapped key are one KMS call', async () => {
  const ref = fixture.tenant();
  const [writer, reader] = [await fixture.open(), await fixture.open()];
  const { wrapped, context } = await writer.ring.current(ref, 'documents', 10);
  const keys = await Promise.all(Array.from({ length: 200 }, () => reader.ring.unwrap(ref, wrapped, context)));
  expect(new Set(keys).size).toBe(1);
  expect(fixture.kms.counts.count({ tenant: ref.tenant, operation: 'Decrypt' })).toBe(1);
});

test('a process reads what it wrote without a KMS call', async () => {
  const ref = fixture.tenant();
  const { ring } = await fixture.open();
  const key = await ring.current(ref, 'documents', 10);
  expect(await ring.unwrap(ref, Buffer.from(key.wrapped), key.context)).toBe(key);
  expect(fixture.kms.counts.count({ tenant: ref.tenant })).toBe(1);
});

test('a KMS call is bound to tenant, period and purpose, and to nothing else', async () => {
  const ref = fixture.tenant();
  const { ring, kms } = await fixture.open();
  const documents = await ring.current(ref, 'documents', 10);
  const intake = await ring.current(ref, 'intake', 10);
  expect(Object.entries(documents.context)).toEqual([
    ['tenant', ref.tenant],
    ['period', documents.context.period],
    ['purpose', 'documents'],
  ]);
  expect({ ...intake.context }).toEqual({ ...documents.context, purpose: 'intake' });
  expect(intake.id).not.toBe(documents.id);
  // KMS authenticates the pairs of the call: more, fewer or other pairs do not unwrap; other fields of the object are not
  // sent.
  const extra = { ...documents.context, corpus: 'c' };
  expect(await kms.decrypt(keyRef(extra.tenant, ref.keyArn), documents.wrapped, extra)).toHaveLength(32);
  for (const other of [
    { ...documents.context, purpose: 'intake' as const },
    { ...documents.context, tenant: 'another' },
    { ...documents.context, period: '2026-11-23T10:30Z' },
  ]) {
    await expect(kms.decrypt(keyRef(other.tenant, ref.keyArn), documents.wrapped, other)).rejects.toMatchObject({
      code: 'OBJECT_TAMPERED',
    });
  }
});

test('a data key keeps only the tenant and the ARN of a larger object', async () => {
  const ref = fixture.tenant();
  const { ring } = await fixture.open();
  const tenant = { ...ref, operatorStop: { code: 'KEY_BLOCKED' } };
  expect((await ring.current(tenant, 'documents', 10)).ref).toEqual(ref);
});

test('a rejection is not cached: all waiting callers get it, and the next one calls KMS again', async () => {
  const ref = fixture.tenant();
  const { ring } = await fixture.open();
  const fault = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_FAULTS.accessDenied });
  const uses = await Promise.allSettled(Array.from({ length: 20 }, () => ring.current(ref, 'documents', 10)));
  expect(uses.map((use) => (use.status === 'rejected' ? (use.reason as { code: string }).code : 'ok'))).toEqual(
    Array.from({ length: 20 }, () => 'KEY_DENIED'),
  );
  expect(fault.met).toBe(1);
  fault.clear();
  expect((await ring.current(ref, 'documents', 10)).isLive).toBe(true);
  expect(fixture.kms.counts.count({ tenant: ref.tenant })).toBe(2);
});

test('a read calls KMS again after a rejected read', async () => {
  const ref = fixture.tenant();
  const [writer, reader] = [await fixture.open(), await fixture.open()];
  const { wrapped, context } = await writer.ring.current(ref, 'documents', 10);
  const fault = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_FAULTS.notFound });
  await expect(reader.ring.unwrap(ref, wrapped, context)).rejects.toMatchObject({
    code: 'KEY_NOT_FOUND',
  });
  fault.clear();
  expect((await reader.ring.unwrap(ref, wrapped, context)).isLive).toBe(true);
});

test('a failed creation frees its claim, so the next process need not wait for its expiry', async () => {
  const ref = fixture.tenant();
  const [first, second] = [await fixture.open(), await fixture.open()];
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_FAULTS.accessDenied, times: 1 });
  await expect(first.ring.current(ref, 'documents', 10)).rejects.toMatchObject({ code: 'KEY_DENIED' });
  const context = contextOf(ref.tenant);
  const token = await eventually(() => second.shared.claim(ref, context));
  await second.shared.free(ref, context, token);
  // Its clock does not advance, so it could not even wait.
  expect((await second.ring.current(ref, 'documents', 10)).isLive).toBe(true);
});

test('a KMS that hangs for one tenant does not delay others, regardless of the number of calls', async () => {
  const [slow, quick] = [fixture.tenant(), fixture.tenant()];
  const { ring } = await fixture.open();
  const hang = fixture.kms.faults.set({ match: { key: slow.keyArn }, fault: { kind: 'hang' } });
  const order: string[] = [];
  const slowUses = [
    ring.current(slow, 'documents', 10),
    // Each reads with another wrapped key: a separate call.
    ...Array.from({ length: 300 }, (_, index) =>
      ring.unwrap(slow, Buffer.from(`wrapped ${index}`), contextOf(slow.tenant)),
    ),
  ].map((use) => use.catch(() => {}).then(() => order.push('slow')));
  await eventually(() => hang.waiting > 0);
  const key = await ring.current(quick, 'documents', 10);
  await ring.unwrap(quick, key.wrapped, key.context);
  order.push('quick');
  expect(hang.waiting).toBeGreaterThan(0);
  hang.clear();
  await Promise.all(slowUses);
  expect(order.indexOf('quick')).toBe(0);
  expect(order).toHaveLength(302);
});

test('a key requested before a wipe is wiped on arrival, and the waiting caller gets another', async () => {
  const ref = fixture.tenant();
  const { ring, plaintexts } = await fixture.open();
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' }, times: 1 });
  const use = ring.current(ref, 'documents', 10);
  await eventually(() => hang.waiting === 1);
  expect(ring.wipe(ref)).toBe(0);
  hang.clear();
  const key = await use;
  expect(plaintexts).toHaveLength(2);
  expect(isZeroed(plaintexts[0]!)).toBe(true);
  expect(bytesOf(key)).toBe(plaintexts[1]);
  expect(isZeroed(plaintexts[1]!)).toBe(false);
});
