// A tenant that denies past periods, and the difference to a denial of the key itself.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import type { SealdexError } from '../../src/runtime/errors.ts';
import type { KeyContext } from '../../src/keys/data-key.ts';
import type { KmsCallObserver } from '../../src/keys/key-watch.ts';
import { FakeClock } from '../support/clock.ts';
import { bytesOf, contextOf, isZeroed, openFixture, type OneRing, type Fixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await openFixture();
});

afterEach(() => fixture.kms.faults.clear());

afterAll(() => fixture[Symbol.asyncDispose]());

/** Records the events for a gate. */
class RecordingObserver implements KmsCallObserver {
  readonly failed: string[] = [];

  refresh(): undefined {}

  begin() {
    return { ok() {}, failed: async (error: SealdexError) => (this.failed.push(error.code), error) };
  }
}

interface Past extends OneRing {
  readonly ref: KeyRef;
  readonly clock: FakeClock;
  readonly observer: RecordingObserver;
  /** Reads a message of the given year, like a process without its keys. */
  readonly read: (year: number) => Promise<unknown>;
}

const contextIn = (tenant: string, year: number): KeyContext => ({
  ...contextOf(tenant),
  period: `${year}-01-01T00:00Z`,
});

const YEARS = [2019, 2020, 2021, 2022];

async function openPast(): Promise<Past> {
  const ref = fixture.tenant();
  const clock = new FakeClock();
  const observer = new RecordingObserver();
  const one = await fixture.open({ clock, watch: observer });
  const wrapped = new Map<number, Buffer>();
  for (const year of YEARS)
    wrapped.set(year, (await one.kms.generateDataKey(ref, contextIn(ref.tenant, year))).wrapped);
  fixture.kms.counts.reset();
  const read = (year: number) => one.ring.unwrap(ref, wrapped.get(year)!, contextIn(ref.tenant, year));
  return { ...one, ref, clock, observer, read };
}

const deny = (key: string, { period }: KeyContext): void =>
  void fixture.kms.faults.set({ match: { key, context: { period } }, fault: KMS_FAULTS.accessDenied });

const callsOf = (key: string): number => fixture.kms.counts.count({ key });

test('a denied period is unreadable; other periods stay readable, and the gate gets no error', async () => {
  const { observer, read, ring, ref } = await openPast();
  const current = bytesOf(await ring.current(ref, 'documents', 1));
  const other = (await read(2021)) as Parameters<typeof bytesOf>[0];
  deny(ref.keyArn, contextIn(ref.tenant, 2020));
  await expect(read(2020)).rejects.toMatchObject({ code: 'PERIOD_DENIED', reason: 'AccessDeniedException' });
  expect(await read(2021)).toBe(other);
  await read(2022);
  expect([current, bytesOf(other)].map(isZeroed)).toEqual([false, false]);
  expect(observer.failed).toEqual([]);
});

test('a denial is confirmed by one test of the key in 30 s, regardless of the number of reads', async () => {
  const { clock, read, ref } = await openPast();
  for (const year of YEARS) deny(ref.keyArn, contextIn(ref.tenant, year));
  const reads = await Promise.allSettled([...YEARS, ...YEARS].map(read));
  expect(reads).toEqual(
    reads.map(() => ({ status: 'rejected', reason: expect.objectContaining({ code: 'PERIOD_DENIED' }) as unknown })),
  );
  // Each period's Decrypt, and a GenerateDataKey with a Decrypt as the test of the key: earlier results prove nothing.
  expect(callsOf(ref.keyArn)).toBe(YEARS.length * 3);
  for (const year of YEARS) await expect(read(year)).rejects.toMatchObject({ code: 'PERIOD_DENIED' });
  clock.advance(29_999);
  await expect(read(2020)).rejects.toMatchObject({ code: 'PERIOD_DENIED' });
  expect(callsOf(ref.keyArn)).toBe(YEARS.length * 3);
});

test('a period becomes readable 30 s after KMS allows it again', async () => {
  const { clock, read, ref } = await openPast();
  deny(ref.keyArn, contextIn(ref.tenant, 2020));
  await expect(read(2020)).rejects.toMatchObject({ code: 'PERIOD_DENIED' });
  fixture.kms.faults.clear();
  await expect(read(2020)).rejects.toMatchObject({ code: 'PERIOD_DENIED' });
  clock.advance(30_000);
  await expect(read(2020)).resolves.toMatchObject({ isLive: true });
});

test('a key revoked after a denied period is reported as a denied key, not as another denied period', async () => {
  const { observer, read, ref } = await openPast();
  deny(ref.keyArn, contextIn(ref.tenant, 2020));
  await expect(read(2020)).rejects.toMatchObject({ code: 'PERIOD_DENIED' });
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_FAULTS.accessDenied });
  await expect(read(2021)).rejects.toMatchObject({ code: 'KEY_DENIED' });
  expect(observer.failed).toEqual(['KEY_DENIED']);
});

test('a denial that also affects the current period denies the key: the gate gets it, and all its keys are wiped', async () => {
  const { observer, read, ring, ref } = await openPast();
  const keys = [await ring.current(ref, 'documents', 1), await read(2021)] as Parameters<typeof bytesOf>[0][];
  const bytes = keys.map(bytesOf);
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_FAULTS.accessDenied });
  await expect(read(2020)).rejects.toMatchObject({ code: 'KEY_DENIED' });
  expect(observer.failed).toEqual(['KEY_DENIED']);
  expect(bytes.map(isZeroed)).toEqual([true, true]);
});

test('another error found by the test of the key is reported to the gate', async () => {
  const { observer, read, ref } = await openPast();
  fixture.kms.faults.set({
    match: { key: ref.keyArn, operation: 'Decrypt' },
    fault: KMS_FAULTS.accessDenied,
    times: 1,
  });
  fixture.kms.faults.set({ match: { key: ref.keyArn, operation: 'GenerateDataKey' }, fault: KMS_FAULTS.notFound });
  await expect(read(2020)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  expect(observer.failed).toEqual(['KEY_NOT_FOUND']);
});

test('a test without a response from KMS denies neither the key nor the period', async () => {
  const { observer, read, ring, ref } = await openPast();
  const current = bytesOf(await ring.current(ref, 'documents', 1));
  fixture.kms.faults.set({
    match: { key: ref.keyArn, operation: 'Decrypt' },
    fault: KMS_FAULTS.accessDenied,
    times: 1,
  });
  const failing = fixture.kms.faults.set({
    match: { key: ref.keyArn, operation: 'GenerateDataKey' },
    fault: KMS_FAULTS.internal,
  });
  await expect(read(2020)).rejects.toMatchObject({ code: 'KMS_FAILED' });
  expect(observer.failed).toEqual(['KMS_FAILED']);
  expect(isZeroed(current)).toBe(false);
  failing.clear();
  await expect(read(2020)).resolves.toMatchObject({ isLive: true });
});

test('a denial of the current period denies the key without another test', async () => {
  const { observer, ring, ref } = await openPast();
  deny(ref.keyArn, contextOf(ref.tenant));
  await expect(ring.current(ref, 'documents', 1)).rejects.toMatchObject({ code: 'KEY_DENIED' });
  expect(callsOf(ref.keyArn)).toBe(1);
  expect(observer.failed).toEqual(['KEY_DENIED']);
});

test('a tenant that shares a KMS key has its own denied periods', async () => {
  const { read, ring, kms, ref } = await openPast();
  const other = contextIn('sharer', 2020);
  const { wrapped } = await kms.generateDataKey(keyRef(other.tenant, ref.keyArn), other);
  fixture.kms.faults.set({
    match: { key: ref.keyArn, context: { tenant: ref.tenant, period: contextIn(ref.tenant, 2020).period } },
    fault: KMS_FAULTS.accessDenied,
  });
  await expect(read(2020)).rejects.toMatchObject({ code: 'PERIOD_DENIED' });
  await expect(ring.unwrap(keyRef(other.tenant, ref.keyArn), wrapped, other)).resolves.toMatchObject({ isLive: true });
});
