// Limits of a ring: the use of one data key, and the number of keys.
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeClock } from '../support/clock.ts';
import { bytesOf, contextOf, HOUR_MS, isZeroed, openFixture, type OneRing, type Fixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await openFixture();
});

afterAll(() => fixture[Symbol.asyncDispose]());

const use = ({ ring }: OneRing, ref: KeyRef, bytes = 1) => ring.current(ref, 'documents', bytes);
const calls = (tenant: string): string[] =>
  fixture.kms.counts.all().flatMap((row) => (row.tenant === tenant ? [`${row.operation} ${row.count}`] : []));

test.each([
  ['messages', { messages: 3, bytes: 2 ** 40 }],
  ['bytes', { messages: 2 ** 32, bytes: 3 }],
])('a process at its limit of %s makes an unshared key; others keep the shared one', async (_, limits) => {
  const ref = fixture.tenant();
  const [busy, calm, late] = [
    await fixture.open({ limits }),
    await fixture.open({ limits }),
    await fixture.open({ limits }),
  ];
  const shared = await use(calm, ref);
  const ids = [];
  for (let message = 0; message < 9; message += 1) ids.push((await use(busy, ref)).id);
  expect(ids.slice(0, 3)).toEqual([shared.id, shared.id, shared.id]);
  const own = ids[3];
  expect(ids.slice(3, 6)).toEqual([own, own, own]);
  expect(new Set([shared.id, own, ids[6]]).size).toBe(3);
  expect((await use(calm, ref)).id).toBe(shared.id);
  expect((await use(late, ref)).id).toBe(shared.id);
  expect(calls(ref.tenant)).toEqual(['GenerateDataKey 3', 'Decrypt 2']);
});

test('parallel uses at the limit make only one unshared key', async () => {
  const ref = fixture.tenant();
  const one = await fixture.open({ limits: { messages: 100, bytes: 2 ** 40 } });
  const keys = await Promise.all(Array.from({ length: 200 }, () => use(one, ref)));
  expect(new Set(keys).size).toBe(2);
  expect(calls(ref.tenant)).toEqual(['GenerateDataKey 2']);
});

test('a message larger than the limit is encrypted under a key with no other use', async () => {
  const ref = fixture.tenant();
  const one = await fixture.open({ limits: { messages: 100, bytes: 10 } });
  const keys = [await use(one, ref, 1000), await use(one, ref, 1), await use(one, ref, 1000)];
  expect(new Set(keys).size).toBe(3);
});

test('a key that was wiped and unwrapped again keeps its use count', async () => {
  const ref = fixture.tenant();
  const one = await fixture.open({ limits: { messages: 3, bytes: 2 ** 40 } });
  const shared = (await use(one, ref)).id;
  await use(one, ref);
  one.ring.wipe(ref);
  expect((await use(one, ref)).id).toBe(shared);
  one.ring.wipe(ref);
  expect((await use(one, ref)).id).not.toBe(shared);
});

test('an unshared key ends with its period, and the next key is shared again', async () => {
  const ref = fixture.tenant();
  const clock = new FakeClock();
  const limits = { messages: 1, bytes: 2 ** 40 };
  const [busy, other] = [await fixture.open({ limits, clock }), await fixture.open({ limits, clock })];
  await use(busy, ref);
  const own = await use(busy, ref);
  clock.advance(HOUR_MS);
  expect(own.isLive).toBe(false);
  expect((await use(other, ref)).id).toBe((await use(busy, ref)).id);
});

test('a full ring wipes its oldest key for reading, and keeps keys for encryption', async () => {
  const ref = fixture.tenant();
  const clock = new FakeClock();
  const [one, writer] = [await fixture.open({ maxKeys: 3, clock }), await fixture.open()];
  const current = await use(one, ref);
  const read = [];
  for (let message = 0; message < 5; message += 1) {
    const { wrapped } = await writer.kms.generateDataKey(ref, contextOf(ref.tenant));
    read.push(bytesOf(await one.ring.unwrap(ref, wrapped, contextOf(ref.tenant))));
  }
  expect(read.map(isZeroed)).toEqual([true, true, false, false, false]);
  expect(await use(one, ref)).toBe(current);
  expect(one.ring.stats().keys).toBe(4);
  expect(clock.pending).toBe(4);
});

test('a ring with too many tenants wipes its oldest key for encryption, and unwraps it again on its next use', async () => {
  const tenants = [fixture.tenant(), fixture.tenant(), fixture.tenant()] as const;
  const clock = new FakeClock();
  const one = await fixture.open({ maxKeys: 2, clock });
  const keys = [];
  for (const ref of tenants) keys.push(await use(one, ref));
  expect(keys.map((key) => key.isLive)).toEqual([false, true, true]);
  const [oldest] = tenants;
  expect((await use(one, oldest)).id).toBe(keys[0]!.id);
  expect(calls(oldest.tenant)).toEqual(['GenerateDataKey 1', 'Decrypt 1']);
  expect(one.ring.stats().keys).toBe(2);
  expect(clock.pending).toBe(2);
});

test('a tenant with one use leaves neither keys nor timers after an hour', async () => {
  const clock = new FakeClock();
  const one = await fixture.open({ clock });
  const arn = fixture.platformKeyArn;
  for (let from = 0; from < 300; from += 50)
    await Promise.all(Array.from({ length: 50 }, (_, index) => use(one, keyRef(`once-${from + index}`, arn))));
  expect(one.ring.stats()).toMatchObject({ keys: 300, oldestMs: 0 });
  expect(one.ring.stats().tenants).toHaveLength(300);
  clock.advance(HOUR_MS);
  expect(one.ring.stats()).toEqual({ keys: 0, oldestMs: 0, tenants: [] });
  expect(clock.pending).toBe(0);
});
