// A key ring with an observer of its KMS calls: it checks the gate before each call, reports the result, and uses no wiped
// key.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { DataKey } from '../../src/keys/data-key.ts';
import type { KmsCallObserver } from '../../src/keys/key-watch.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOf, contextOf, HOUR_MS, isZeroed, openFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;
let uses: string[];
let wipes: string[];
let events: string[];
let isShut: boolean;
/** The next refresh, if one is due. */
let pendingRefresh: (() => Promise<void>) | undefined;

const watch: KmsCallObserver = {
  refresh() {
    const running = pendingRefresh?.();
    pendingRefresh = undefined;
    return running;
  },
  begin({ tenant, keyArn }) {
    if (isShut) throw new SealdexError('KEY_DISABLED', undefined, { keyArn, since: 7 });
    events.push(`begin ${tenant}`);
    return {
      ok: () => void events.push('ok'),
      failed: async (error) => {
        events.push(error.code);
        return new SealdexError('KEY_UNAVAILABLE', undefined, { keyArn });
      },
    };
  },
};

beforeAll(async () => {
  fixture = await openFixture();
});

beforeEach(() => {
  [uses, wipes, events] = [[], [], []];
  isShut = false;
  pendingRefresh = undefined;
});

afterEach(() => fixture.kms.faults.clear());

afterAll(() => fixture[Symbol.asyncDispose]());

async function open(options: { clock?: FakeClock; maxKeys?: number } = {}) {
  const ref = fixture.tenant();
  const one = await fixture.open({
    ...options,
    watch,
    onUse: (result) => uses.push(result),
    onWipe: (reason) => wipes.push(reason),
  });
  return { ...one, ref };
}

test('each KMS call and its end are observed, and all its callers get the observer’s error', async () => {
  const { ring, ref } = await open();
  await ring.current(ref, 'documents', 1);
  expect(events).toEqual([`begin ${ref.tenant}`, 'ok']);
  const other = fixture.tenant();
  fixture.kms.faults.set({ match: { key: other.keyArn }, fault: KMS_FAULTS.internal });
  const two = await Promise.allSettled([1, 2].map(() => ring.current(other, 'documents', 1)));
  const refused = { status: 'rejected', reason: expect.objectContaining({ code: 'KEY_UNAVAILABLE' }) as unknown };
  expect(two).toEqual([refused, refused]);
  expect(events.slice(2)).toEqual([`begin ${other.tenant}`, 'KMS_FAILED']);
});

test('a shut gate rejects encryption and reading with its error, without a KMS call', async () => {
  const { ring, kms, ref } = await open();
  const { wrapped } = await kms.generateDataKey(ref, contextOf(ref.tenant));
  isShut = true;
  fixture.kms.counts.reset();
  const refused = { code: 'KEY_DISABLED', keyArn: ref.keyArn, since: 7 };
  await expect(ring.current(ref, 'documents', 1)).rejects.toMatchObject(refused);
  await expect(ring.unwrap(ref, wrapped, contextOf(ref.tenant))).rejects.toMatchObject(refused);
  expect(fixture.kms.counts.all()).toEqual([]);
  isShut = false;
  await expect(ring.unwrap(ref, wrapped, contextOf(ref.tenant))).resolves.toMatchObject({ isLive: true });
});

test('the platform key is not gated: content waits under it because a gate is shut', async () => {
  const { ring, ref } = await open();
  isShut = true;
  await expect(ring.current(keyRef(ref.tenant, fixture.platformKeyArn), 'intake', 1)).resolves.toMatchObject({
    isLive: true,
  });
  expect(events).toEqual([]);
});

test('a cached key is not used before the gate is read, if the process may have missed its shutting', async () => {
  const { ring, ref } = await open();
  const { wrapped, context } = await ring.current(ref, 'documents', 1);
  const other = fixture.tenant();
  await ring.current(other, 'documents', 1);
  uses.length = 0;
  const uncertain = [
    () => ring.current(ref, 'documents', 1),
    () => ring.unwrap(ref, wrapped, context),
    () => ring.encrypt(ref, 'documents', 1, () => 'used'),
  ];
  for (const use of uncertain) {
    pendingRefresh = async () => Promise.reject(new SealdexError('REDIS_FAILED'));
    await expect(use()).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  }
  pendingRefresh = async () => {
    isShut = true;
    ring.wipe(ref);
  };
  for (const use of uncertain) await expect(use()).rejects.toMatchObject({ code: 'KEY_DISABLED' });
  expect(uses).not.toContain('hit');
  pendingRefresh = async () => {};
  await expect(ring.current(other, 'documents', 1)).resolves.toMatchObject({ isLive: true });
  expect(uses).toContain('hit');
});

test('encrypt() uses another key if the first is wiped before its use', async () => {
  const { ring, ref } = await open();
  const lent: DataKey[] = [];
  const length = await ring.encrypt(ref, 'documents', 1, (key) => {
    lent.push(key);
    if (lent.length === 1) ring.wipe(ref);
    return key.use((plaintext) => plaintext.length);
  });
  expect(length).toBe(32);
  expect(lent.map(({ isLive }) => isLive)).toEqual([false, true]);
});

test('encrypt() fails after three wiped keys, and rethrows an error of its callback at once', async () => {
  const { ring, ref } = await open();
  let tries = 0;
  const always = ring.encrypt(ref, 'documents', 1, (key) => {
    tries += 1;
    ring.wipe(ref);
    return key.use(() => 'used');
  });
  await expect(always).rejects.toMatchObject({ code: 'KMS_FAILED', reason: 'KeyExpired' });
  expect(tries).toBe(3);
  const own = ring.encrypt(ref, 'documents', 1, () => {
    tries += 1;
    throw new TypeError('own');
  });
  await expect(own).rejects.toThrow('own');
  expect(tries).toBe(4);
});

test('encrypt() fails with the gate’s error if the shut gate wiped its key', async () => {
  const { ring, ref } = await open();
  const use = ring.encrypt(ref, 'documents', 1, (key) => {
    isShut = true;
    ring.wipe(ref);
    return key.use(() => 'used');
  });
  await expect(use).rejects.toMatchObject({ code: 'KEY_DISABLED', since: 7 });
});

test('a shut gate wipes the tenant’s keys under its KMS key, also those on their way, and no others', async () => {
  const { ring, kms, plaintexts, ref } = await open();
  const other = fixture.tenant();
  const { wrapped } = await kms.generateDataKey(ref, contextOf(ref.tenant));
  const mine = bytesOf(await ring.current(ref, 'documents', 1));
  const spared = [
    bytesOf(await ring.current(keyRef(other.tenant, ref.keyArn), 'documents', 1)),
    bytesOf(await ring.current(keyRef(ref.tenant, other.keyArn), 'documents', 1)),
  ];
  const seen = plaintexts.length;
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' } });
  const coming = ring.unwrap(ref, wrapped, contextOf(ref.tenant));
  await eventually(() => hang.waiting === 1);
  expect(ring.wipe(ref)).toBe(1);
  isShut = true;
  hang.clear();
  await expect(coming).rejects.toMatchObject({ code: 'KEY_DISABLED' });
  expect([mine, plaintexts[seen]!, ...spared].map(isZeroed)).toEqual([true, true, false, false]);
  expect(wipes).toEqual(['shut']);
});

test('uses are counted as miss, shared or hit', async () => {
  const { ring, ref } = await open();
  await Promise.all([1, 2, 3].map(() => ring.current(ref, 'documents', 1)));
  expect(uses.filter((use) => use === 'miss')).toHaveLength(1);
  expect(uses.filter((use) => use === 'shared')).toHaveLength(2);
  uses.length = 0;
  const { wrapped, context } = await ring.current(ref, 'documents', 1);
  await ring.unwrap(ref, wrapped, context);
  expect(uses).toEqual(['hit', 'hit']);
});

test('wipes are counted by reason: evicted, expired, unusable and closed', async () => {
  const clock = new FakeClock();
  const { ring, kms, ref } = await open({ clock, maxKeys: 1 });
  const other = fixture.tenant();
  await ring.current(ref, 'documents', 1);
  await ring.current(other, 'documents', 1);
  expect(wipes.splice(0)).toEqual(['room']);
  clock.advance(HOUR_MS);
  expect(wipes.splice(0)).toEqual(['expired']);
  const { context } = await ring.current(ref, 'documents', 1);
  const { wrapped } = await kms.generateDataKey(ref, context);
  fixture.kms.disable(ref.keyArn);
  await expect(ring.unwrap(ref, wrapped, context)).rejects.toMatchObject({
    code: 'KEY_UNAVAILABLE',
  });
  expect(wipes.splice(0)).toEqual(['unusable']);
  await ring.current(other, 'documents', 1);
  ring.close();
  expect(wipes).toEqual(['closed']);
});
