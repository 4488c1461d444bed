// The lifetime of a data key by either clock, and its state afterwards.
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { array, assert, integer, nat, property, record, stringMatching } from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { keyRef } from '../../src/runtime/key-ref.ts';
import type { SealdexError } from '../../src/runtime/errors.ts';
import { DataKey, readClocks, PERIOD_MS, periodAt, periodEnd } from '../../src/keys/data-key.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOf, contextOf, HOUR_MS, isZeroed, openFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await openFixture();
});

afterEach(() => fixture.kms.faults.clear());

afterAll(() => fixture[Symbol.asyncDispose]());

/** A clock at the start of the tenant's period, so that 60 minutes and the period end together. */
const clockAtStart = (tenant: string): FakeClock => new FakeClock(periodEnd(contextOf(tenant).period)! - PERIOD_MS);

const wallOnly = (clock: FakeClock, ms: number): void => clock.setWall(clock.now() + ms);
const monotonicOnly = (clock: FakeClock, ms: number): void => clock.skipMonotonic(ms);
const both = (clock: FakeClock, ms: number): void => {
  wallOnly(clock, ms);
  monotonicOnly(clock, ms);
};
const wallBack = (clock: FakeClock, ms: number): void => {
  wallOnly(clock, -3 * HOUR_MS);
  monotonicOnly(clock, ms);
};

test.each([
  ['the wall clock', wallOnly],
  ['the monotonic clock', monotonicOnly],
  ['both clocks', both],
  ['the monotonic clock while the wall clock is set back', wallBack],
])('a use fails at 60 min + 1 ms by %s, and succeeds a millisecond before 60 min', async (_, move) => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const { ring } = await fixture.open({ clock });
  const key = await ring.current(ref, 'documents', 10);
  const bytes = bytesOf(key);
  move(clock, HOUR_MS - 1);
  expect(key.use((plaintext) => plaintext.length)).toBe(32);
  wallOnly(clock, move === wallBack ? -1 : 0);
  move(clock, 2);
  expect(() => key.use(() => 'used')).toThrow(expect.objectContaining({ code: 'KMS_FAILED', reason: 'KeyExpired' }));
  expect(isZeroed(bytes)).toBe(true);
  expect(await ring.current(ref, 'documents', 10)).not.toBe(key);
});

test('a key is cached from its arrival to the end of its period, for its tenant and purpose only', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const { ring } = await fixture.open({ clock });
  expect(ring.isCached(ref, 'documents')).toBe(false);
  await ring.current(ref, 'documents', 10);
  expect(ring.isCached(ref, 'documents')).toBe(true);
  expect(ring.isCached(ref, 'intake')).toBe(false);
  expect(ring.isCached(fixture.tenant(), 'documents')).toBe(false);
  both(clock, HOUR_MS);
  expect(ring.isCached(ref, 'documents')).toBe(false);
  await ring.current(ref, 'documents', 10);
  ring.wipe(ref);
  expect(ring.isCached(ref, 'documents')).toBe(false);
});

test('a data key expires with its period, even if it was created late in the period', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  clock.advance(50 * 60_000);
  const { ring } = await fixture.open({ clock });
  const key = await ring.current(ref, 'documents', 10);
  both(clock, 10 * 60_000 - 1);
  expect(await ring.current(ref, 'documents', 10)).toBe(key);
  both(clock, 1);
  expect(key.isLive).toBe(false);
  const next = await ring.current(ref, 'documents', 10);
  expect(next.context.period).not.toBe(key.context.period);
});

test('a wall clock set back does not revive a key: the earlier period has its own key', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const { ring } = await fixture.open({ clock });
  const key = await ring.current(ref, 'documents', 10);
  clock.setWall(clock.now() - 1);
  const older = await ring.current(ref, 'documents', 10);
  expect(older.context.period).not.toBe(key.context.period);
});

test('the 60 minutes start with the KMS call, not with its response', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const { ring, kms } = await fixture.open({ clock });
  const { wrapped } = await kms.generateDataKey(ref, contextOf(ref.tenant));
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' } });
  const use = ring.unwrap(ref, wrapped, contextOf(ref.tenant));
  await eventually(() => hang.waiting === 1);
  clock.advance(40 * 60_000);
  hang.clear();
  const key = await use;
  expect(key.leftMs).toBe(20 * 60_000);
  const bytes = bytesOf(key);
  clock.advance(20 * 60_000);
  expect(isZeroed(bytes)).toBe(true);
});

test('the age of the oldest key is in whole milliseconds', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const { ring } = await fixture.open({ clock });
  await ring.current(ref, 'documents', 10);
  clock.advance(1.75);
  expect(ring.stats().oldestMs).toBe(2);
});

test('a key is wiped by its timer at its end, without a use', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const { ring } = await fixture.open({ clock });
  const bytes = bytesOf(await ring.current(ref, 'documents', 10));
  clock.advance(HOUR_MS - 1);
  expect(isZeroed(bytes)).toBe(false);
  expect(ring.stats()).toEqual({ keys: 1, oldestMs: HOUR_MS - 1, tenants: [ref.tenant] });
  clock.advance(1);
  expect(isZeroed(bytes)).toBe(true);
  expect(ring.stats()).toEqual({ keys: 0, oldestMs: 0, tenants: [] });
  expect(clock.pending).toBe(0);
});

test('a wall clock jump wipes the key within a minute, without a use', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const { ring } = await fixture.open({ clock });
  const bytes = bytesOf(await ring.current(ref, 'documents', 10));
  wallOnly(clock, 2 * HOUR_MS);
  clock.advance(60_000);
  expect(isZeroed(bytes)).toBe(true);
  expect(clock.pending).toBe(0);
});

test('a key of a past period can be used for reading, for at most an hour', async () => {
  const ref = fixture.tenant();
  const clock = clockAtStart(ref.tenant);
  const [writer, reader] = [await fixture.open({ clock }), await fixture.open({ clock })];
  const { wrapped, context } = await writer.ring.current(ref, 'documents', 10);
  clock.advance(5 * HOUR_MS);
  const key = await reader.ring.unwrap(ref, wrapped, context);
  expect(key.leftMs).toBe(HOUR_MS);
  const bytes = bytesOf(key);
  clock.advance(HOUR_MS);
  expect(isZeroed(bytes)).toBe(true);
});

test('a wipe leaves the selected keys zeroed and unusable, and others untouched', async () => {
  const clock = new FakeClock();
  const [one, other] = [fixture.tenant(), fixture.tenant()];
  const { ring } = await fixture.open({ clock });
  const key = await ring.current(one, 'documents', 10);
  const spared = await ring.current(other, 'documents', 10);
  const [bytes, sparedBytes] = [bytesOf(key), bytesOf(spared)];
  expect(ring.wipe(one)).toBe(1);
  expect(isZeroed(bytes)).toBe(true);
  expect(() => key.use(() => 'used')).toThrow(expect.objectContaining({ reason: 'KeyExpired' }));
  expect(isZeroed(sparedBytes)).toBe(false);
  expect(clock.pending).toBe(1);
  expect(ring.stats().tenants).toEqual([other.tenant]);
});

test('close() wipes all keys, can be called twice, and leaves no timer', async () => {
  const clock = new FakeClock();
  const ref = fixture.tenant();
  const { ring } = await fixture.open({ clock });
  const key = await ring.current(ref, 'documents', 10);
  const bytes = bytesOf(key);
  ring.close();
  ring.close();
  expect(isZeroed(bytes)).toBe(true);
  expect(clock.pending).toBe(0);
  const closed = { code: 'KMS_FAILED', reason: 'Closed' };
  await expect(ring.current(ref, 'documents', 10)).rejects.toMatchObject(closed);
  await expect(ring.unwrap(ref, key.wrapped, key.context)).rejects.toMatchObject(closed);
  expect(fixture.kms.counts.count({ tenant: ref.tenant })).toBe(1);
});

test('close() during a KMS call rejects its callers at once and wipes the key on arrival', async () => {
  const clock = new FakeClock();
  const ref = fixture.tenant();
  const { ring, plaintexts } = await fixture.open({ clock });
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' } });
  const uses = Promise.allSettled([1, 2].map(() => ring.current(ref, 'documents', 10)));
  await eventually(() => hang.waiting === 1);
  ring.close();
  const reason = expect.objectContaining({ code: 'KMS_FAILED', reason: 'Closed' }) as unknown;
  expect(await uses).toEqual([1, 2].map(() => ({ status: 'rejected', reason })));
  expect(plaintexts).toHaveLength(0);
  hang.clear();
  await eventually(() => plaintexts.length === 1);
  await eventually(() => isZeroed(plaintexts[0]!));
  expect(ring.stats().keys).toBe(0);
  expect(clock.pending).toBe(0);
});

test("close() ends a wait for another process's key", async () => {
  const clock = new FakeClock();
  const ref = fixture.tenant();
  const [claiming, waiting] = [await fixture.open(), await fixture.open({ clock })];
  expect(await claiming.shared.claim(ref, contextOf(ref.tenant))).toBeDefined();
  const use = waiting.ring.current(ref, 'documents', 10);
  await eventually(() => clock.pending === 1);
  waiting.ring.close();
  await expect(use).rejects.toMatchObject({ reason: 'Closed' });
  expect(clock.pending).toBe(0);
});

test('a key and its ring show no key bytes when printed, inspected or serialized', async () => {
  const ref = fixture.tenant();
  const { ring } = await fixture.open();
  const key = await ring.current(ref, 'documents', 10);
  const label = `DataKey ${key.id}`;
  expect([String(key), JSON.stringify(key), inspect(key), inspect({ key }, { depth: 9, showHidden: true })]).toEqual([
    label,
    `"${label}"`,
    label,
    `{ key: ${label} }`,
  ]);
  const shown = [
    inspect(key, { customInspect: false, showHidden: true, depth: 9, maxArrayLength: 1000 }),
    inspect(ring, { customInspect: false, showHidden: true, depth: 9, maxArrayLength: 1000 }),
    JSON.stringify(ring),
    JSON.stringify(Object.assign({}, key)),
    serialize(key).toString('latin1'),
  ].join('\n');
  const spellings = key.use((plaintext) => {
    const bytes = Buffer.from(plaintext);
    return [
      bytes.toString('base64'),
      bytes.toString('hex'),
      bytes.toString('latin1'),
      [...bytes].join(','),
      [...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    ];
  });
  for (const spelling of spellings) expect(shown.includes(spelling)).toBe(false);
});

const tenants = stringMatching(/^[a-zA-Z0-9_=-]{1,50}$/);
const moments = integer({ min: Date.parse('2000-01-01T00:00Z'), max: Date.parse('2100-01-01T00:00Z') });

test('a period contains every time it is computed for', () => {
  assert(
    property(tenants, moments, (tenant, now) => {
      const period = periodAt(tenant, now);
      expect(period).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/);
      const start = Date.parse(period);
      expect(start).toBeLessThanOrEqual(now);
      expect(now).toBeLessThan(start + PERIOD_MS);
      expect(periodEnd(period)).toBe(start + PERIOD_MS);
    }),
  );
});

test("each tenant's shift is constant, in whole minutes, and derived from the sha256 of its name", () => {
  assert(
    property(tenants, moments, (tenant, now) => {
      const minutes = (Date.parse(periodAt(tenant, now)) % PERIOD_MS) / 60_000;
      const word = createHash('sha256').update(tenant).digest('hex').slice(0, 8);
      expect(minutes).toBe(Number.parseInt(word, 16) % 60);
    }),
  );
  const shifts = Array.from({ length: 1000 }, (_, index) => periodAt(`tenant-${index}`, 0).slice(14, 16));
  expect(new Set(shifts).size).toBe(60);
});

test('an invalid period name has no end', () => {
  for (const text of [
    '',
    '2026-11-23',
    '2026-11-23T17:41',
    '2026-02-30T17:41Z',
    '2026-13-01T00:00Z',
    ' 2026-11-23T17:41Z',
  ])
    expect(periodEnd(text)).toBeUndefined();
});

test('a key is live in each use until one of the clocks has passed its time', () => {
  const steps = array(record({ wall: integer({ min: -7_200_000, max: 7_200_000 }), monotonic: nat(3_600_000) }));
  assert(
    property(steps, nat(PERIOD_MS - 1), (moves, intoPeriod) => {
      const clock = clockAtStart('acme');
      clock.advance(intoPeriod);
      const started = readClocks(clock);
      const key = new DataKey(
        clock,
        Buffer.alloc(32, 7),
        keyRef('acme', 'arn'),
        Buffer.from('w'),
        contextOf('acme'),
        started,
      );
      let isOver = false;
      for (const { wall, monotonic } of moves) {
        wallOnly(clock, wall);
        monotonicOnly(clock, monotonic);
        const lifetime = PERIOD_MS - intoPeriod;
        const isLive = clock.now() - started.wall < lifetime && clock.monotonic() - started.monotonic < lifetime;
        // After a rejected use the bytes are permanently gone.
        isOver ||= !isLive;
        expect(useOf(key)).toBe(isOver ? 'KeyExpired' : 7);
      }
    }),
  );
});

function useOf(key: DataKey): unknown {
  try {
    return key.use((plaintext) => plaintext[0]);
  } catch (error) {
    return (error as SealdexError).reason;
  }
}
