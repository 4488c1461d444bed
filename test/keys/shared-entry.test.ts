// The wrapped key shared by the fleet in Redis: Redis is not trusted, and may fail at any time.
import { createHash, randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { periodEnd } from '../../src/keys/data-key.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { closeRedis, redisKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOf, contextOf, isZeroed, moving } from './fixture.ts';
import { openRedisFixture, type RedisRing, type RedisFixture } from './redis-fixture.ts';
import { lossyLine } from './lossy-line.ts';

let fixture: RedisFixture;
/** A separate connection to Redis, independent of the rings' connections. */
let redis: Redis;

beforeAll(async () => {
  fixture = await openRedisFixture();
  redis = new Redis(fixture.config.redisUrl);
});

afterEach(() => fixture.kms.faults.clear());

afterAll(async () => {
  closeRedis(redis);
  await fixture[Symbol.asyncDispose]();
});

const names = (): ReturnType<typeof redisKeys> => redisKeys(fixture.config.queue);

function entryName({ tenant, keyArn }: KeyRef): string {
  const { purpose, period } = contextOf(tenant);
  return names().dataKey(purpose, tenant, period, createHash('sha256').update(keyArn).digest('hex').slice(0, 16));
}

const use = ({ ring }: RedisRing, ref: KeyRef) => ring.current(ref, 'documents', 10);
const callsOf = (tenant: string, operation: 'GenerateDataKey' | 'Decrypt'): number =>
  fixture.kms.counts.count({ tenant, operation });

test('an entry in Redis holds only the wrapped key, for ten minutes longer than the period', async () => {
  const ref = fixture.tenant();
  const clock = new FakeClock();
  const key = await use(await fixture.open({ clock }), ref);
  const entry = await redis.get(entryName(ref));
  expect(entry).toBe(`1 ${ref.keyArn} ${key.wrapped.toString('base64')}`);
  const left = await redis.pttl(entryName(ref));
  const full = periodEnd(key.context.period)! - clock.now() + 600_000;
  expect(left).toBeLessThanOrEqual(full);
  expect(left).toBeGreaterThan(full - 60_000);
  expect(await redis.exists(names().dataKeyClaim(entryName(ref)))).toBe(0);
});

test('an entry belongs to one KMS key: it is not found after a key change', async () => {
  const ref = fixture.tenant();
  const other = keyRef(ref.tenant, fixture.kms.createKey());
  const one = await fixture.open();
  expect((await use(one, ref)).arn).toBe(ref.keyArn);
  expect((await use(one, other)).arn).toBe(other.keyArn);
  expect(entryName(ref)).not.toBe(entryName(other));
});

/** Invalid values in place of an entry. `good` is a valid one. */
const INVALID_ENTRIES: [string, (arn: string, good: string) => string | Buffer | Promise<string>][] = [
  ['valid base64 of garbage', (arn) => `1 ${arn} ${randomBytes(184).toString('base64')}`],
  ['a wrapped key with one bit flipped', (arn, good) => `1 ${arn} ${flipped(good)}`],
  ["another KMS key's entry", (_, good) => good.replace(/key\/\S+/, 'key/00000000-0000-0000-0000-000000000000')],
  ["another tenant's wrapped key under the same KMS key", (arn) => foreignEntry(arn)],
  ['an entry without its last bytes', (_, good) => good.slice(0, -40)],
  ['an entry without its key', (arn) => `1 ${arn} `],
  ['another version', (_, good) => good.replace('1', '2')],
  ['words', () => 'not an entry at all'],
  ['bytes other than text', () => Buffer.from('31ff fe00 80c3 28ed a080'.replaceAll(' ', ''), 'hex')],
  ['100,000 bytes', (arn) => `1 ${arn} ${'A'.repeat(100_000)}`],
  ['non-canonical base64', (_, good) => `${good}=`],
];

function flipped(good: string): string {
  const wrapped = Buffer.from(good.split(' ')[2] ?? '', 'base64');
  wrapped[wrapped.length - 1]! ^= 1;
  return wrapped.toString('base64');
}

async function foreignEntry(arn: string): Promise<string> {
  const { kms } = await fixture.open();
  const { wrapped } = await kms.generateDataKey(keyRef('somebody-else', arn), contextOf('somebody-else'));
  return `1 ${arn} ${wrapped.toString('base64')}`;
}

test.each(INVALID_ENTRIES)('an entry replaced by %s is repaired, and no caller fails', async (_, invalid) => {
  const ref = fixture.tenant();
  const [writer, finder, later] = [await fixture.open(), await fixture.open(), await fixture.open()];
  await use(writer, ref);
  const name = entryName(ref);
  const bad = await invalid(ref.keyArn, (await redis.get(name))!);
  await redis.set(name, bad, 'PX', 60_000);
  const keys = await Promise.all(Array.from({ length: 10 }, () => use(finder, ref)));
  expect(new Set(keys).size).toBe(1);
  expect(await redis.get(name)).toBe(`1 ${ref.keyArn} ${keys[0]!.wrapped.toString('base64')}`);
  expect((await use(later, ref)).id).toBe(keys[0]!.id);
  expect(callsOf(ref.tenant, 'GenerateDataKey')).toBe(2);
});

test('a list in place of an entry is replaced', async () => {
  const ref = fixture.tenant();
  await redis.rpush(entryName(ref), 'garbage');
  const [finder, later] = [await fixture.open(), await fixture.open()];
  const key = await use(finder, ref);
  expect((await use(later, ref)).id).toBe(key.id);
});

test('processes that replace a bad entry at the same time converge on one key', async () => {
  const ref = fixture.tenant();
  const clock = new FakeClock();
  await redis.set(entryName(ref), `1 ${ref.keyArn} ${randomBytes(184).toString('base64')}`);
  const rings = await Promise.all(Array.from({ length: 6 }, () => fixture.open({ clock })));
  const keys = await moving(clock, Promise.all(rings.map((one) => use(one, ref))));
  expect(new Set(keys.map((key) => key.id)).size).toBe(1);
  expect(callsOf(ref.tenant, 'GenerateDataKey')).toBe(1);
});

test('a good entry is kept if KMS rejects it for another reason', async () => {
  const ref = fixture.tenant();
  const [writer, other] = [await fixture.open(), await fixture.open()];
  await use(writer, ref);
  const entry = await redis.get(entryName(ref));
  fixture.kms.disable(ref.keyArn);
  await expect(use(other, ref)).rejects.toMatchObject({ code: 'KEY_DISABLED' });
  expect(await redis.get(entryName(ref))).toBe(entry);
  expect(callsOf(ref.tenant, 'GenerateDataKey')).toBe(1);
});

test('an entry overwritten again and again causes an error, not endless KMS calls', async () => {
  const ref = fixture.tenant();
  const one = await fixture.open();
  const shared: RedisRing['shared'] = {
    ...one.shared,
    async put(...args) {
      await redis.set(entryName(ref), randomBytes(20));
      return one.shared.put(...args);
    },
  };
  const ring = new KeyRing({ clock: new FakeClock(), kms: one.kms, shared, use: 'patient' });
  await expect(ring.current(ref, 'documents', 10)).rejects.toMatchObject({
    code: 'REDIS_FAILED',
    reason: 'KeyEntry',
  });
  expect(callsOf(ref.tenant, 'GenerateDataKey')).toBe(3);
  expect(one.plaintexts.map(isZeroed)).toEqual([true, true, true]);
  expect(ring.stats().keys).toBe(0);
  ring.close();
});

test('a claim that expires during the KMS call makes two keys, and all use the first one written', async () => {
  const ref = fixture.tenant();
  const [slow, quick] = [await fixture.open(), await fixture.open()];
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' }, times: 1 });
  const slowUse = use(slow, ref);
  await eventually(() => hang.waiting === 1);
  await redis.del(names().dataKeyClaim(entryName(ref)));
  const key = await use(quick, ref);
  hang.clear();
  expect((await slowUse).id).toBe(key.id);
  expect(callsOf(ref.tenant, 'GenerateDataKey')).toBe(2);
  // The slow process wiped its own before it used the other.
  expect(slow.plaintexts.map(isZeroed)).toEqual([true, false]);
  expect(slow.ring.stats().keys).toBe(1);
});

test('a late process does not free the claim of another one', async () => {
  const ref = fixture.tenant();
  const [slow, other] = [await fixture.open(), await fixture.open()];
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' }, times: 1 });
  const late = use(slow, ref);
  await eventually(() => hang.waiting === 1);
  const claim = names().dataKeyClaim(entryName(ref));
  await redis.del(claim);
  const token = await other.shared.claim(ref, contextOf(ref.tenant));
  hang.clear();
  await late;
  expect(await redis.get(claim)).toBe(token);
});

test.each([
  ['prompt', 950],
  ['patient', 20_000],
] as const)('an abandoned claim makes a %s first use fail after %i ms', async (how, ms) => {
  const ref = fixture.tenant();
  const clock = new FakeClock();
  const one = await fixture.open({ use: how, clock });
  await redis.set(names().dataKeyClaim(entryName(ref)), 'a ghost');
  const began = clock.monotonic();
  const outcome = use(one, ref).catch((error: unknown) => error);
  const waited = eventually(() => clock.pending === 1);
  await waited;
  clock.advance(ms - 1);
  await eventually(() => clock.pending === 1);
  expect(await moving(clock, outcome)).toMatchObject({ code: 'KMS_FAILED', reason: 'ClaimWait' });
  expect(clock.monotonic() - began).toBeGreaterThanOrEqual(ms);
  expect(clock.pending).toBe(0);
  expect(fixture.kms.counts.count({ tenant: ref.tenant })).toBe(0);
});

test('a wait that outlasts the period makes the next period’s key', async () => {
  const ref = fixture.tenant();
  const clock = new FakeClock(periodEnd(contextOf(ref.tenant).period)! - 100);
  const one = await fixture.open({ clock });
  await redis.set(names().dataKeyClaim(entryName(ref)), 'a ghost');
  const key = await moving(clock, use(one, ref));
  expect(key.context.period).not.toBe(contextOf(ref.tenant).period);
  expect(callsOf(ref.tenant, 'GenerateDataKey')).toBe(1);
});

test('encryption fails without Redis and without a KMS call; existing data stays readable', async () => {
  const ref = fixture.tenant();
  const [writer, other] = [await fixture.open(), await fixture.open()];
  const { wrapped, context } = await use(writer, ref);
  closeRedis(other.redis);
  await expect(use(other, ref)).rejects.toMatchObject({ code: 'REDIS_FAILED' });
  expect(fixture.kms.counts.count({ tenant: ref.tenant })).toBe(1);
  expect((await other.ring.unwrap(ref, wrapped, context)).isLive).toBe(true);
});

test('a new key is wiped if Redis fails before its entry is written, and the caller gets the Redis error', async () => {
  const ref = fixture.tenant();
  const one = await fixture.open({ use: 'prompt' });
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' } });
  const uses = Promise.allSettled([use(one, ref), use(one, ref)]);
  await eventually(() => hang.waiting === 1);
  closeRedis(one.redis);
  hang.clear();
  const lost = { status: 'rejected', reason: expect.objectContaining({ code: 'REDIS_FAILED' }) as unknown };
  expect(await uses).toEqual([lost, lost]);
  expect(one.plaintexts.map(isZeroed)).toEqual([true]);
  expect(one.ring.stats().keys).toBe(0);
  expect(await redis.get(entryName(ref))).toBeNull();
  // As if the claim had expired.
  await redis.del(names().dataKeyClaim(entryName(ref)));
  expect(isZeroed(bytesOf(await use(await fixture.open(), ref)))).toBe(false);
});

test('a write without a response is sent again, and its key is shared', async () => {
  await using line = await lossyLine(fixture.config.redisUrl);
  const ref = fixture.tenant();
  const one = await fixture.open({ redisUrl: line.url });
  const hang = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' } });
  const lost = use(one, ref);
  await eventually(() => hang.waiting === 1);
  line.loseAnswers();
  hang.clear();
  const entry = await eventually(async () => (await redis.get(entryName(ref))) ?? undefined);
  line.cut();
  expect(entry).toBe(`1 ${ref.keyArn} ${(await lost).wrapped.toString('base64')}`);
  expect(callsOf(ref.tenant, 'GenerateDataKey')).toBe(1);
  expect(one.plaintexts.map(isZeroed)).toEqual([false]);
});

test('a claim without a response is recognized', async () => {
  await using line = await lossyLine(fixture.config.redisUrl);
  const ref = fixture.tenant();
  const one = await fixture.open({ redisUrl: line.url });
  const context = contextOf(ref.tenant);
  line.loseAnswers();
  const lost = one.shared.claim(ref, context);
  const claim = await eventually(async () => (await redis.get(names().dataKeyClaim(entryName(ref)))) ?? undefined);
  line.cut();
  expect(await lost).toBe(claim);
});
