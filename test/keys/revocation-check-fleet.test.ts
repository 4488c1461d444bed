// The revocation check in a fleet: valid leases, a check without a KMS call, and hanging keys.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  startRevocationCheck,
  type RevocationCheck,
  type RevocationCheckDeps,
} from '../../src/keys/revocation-check.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { closeRedis, openRedis, redisKeys, type Redis, type RedisKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { openRedisFixture, type RedisFixture } from './redis-fixture.ts';

const INTERVAL_MS = 300_000;
const LEASE_MS = 10_000;
const DAY_MS = 86_400_000;

let fixture: RedisFixture;
let redis: Redis;
let keys: RedisKeys;
let clock: FakeClock;
let tenant: string;
let count = 0;

beforeAll(async () => {
  fixture = await openRedisFixture();
  redis = await openRedis(fixture.config, 'patient');
  keys = redisKeys(fixture.config.queue);
});
afterAll(async () => {
  closeRedis(redis);
  await fixture[Symbol.asyncDispose]();
});
beforeEach(() => {
  clock = new FakeClock();
  tenant = `tenant-${(count += 1)}`;
});

const ARN = 'arn:aws:kms:us-west-2:111122223333:key/held';
const leaseOf = (name: string): string => keys.lease(`revocation-check:${gateId(keyRef(name, ARN))}`);

interface Process {
  readonly check: RevocationCheck;
  /** Tenants whose keys were checked in KMS. */
  readonly checked: string[];
}

type Recheck = RevocationCheckDeps['ring']['recheck'];

/** A process with keys of these tenants since now. */
function openProcess(names: readonly string[], recheck: Recheck): Process {
  const checked: string[] = [];
  const askedAt = clock.monotonic();
  const check = startRevocationCheck({
    clock,
    redis,
    keys,
    keyCheckMs: INTERVAL_MS,
    ring: {
      heldUnder: () => names.map((name) => ({ ...keyRef(name, ARN), askedAt, isUnwrapped: true })),
      recheck: (one) => (checked.push(one.tenant), recheck(one)),
    },
  });
  return { check, checked };
}

/** The test triggers its polls. */
async function startProcess(
  names: readonly string[] = [tenant],
  recheck: Recheck = async () => true,
): Promise<Process> {
  const process = openProcess(names, recheck);
  await process.check.stop();
  return process;
}

test.for([
  ['without an end', (key: string) => redis.set(key, 'x')],
  ['ending tomorrow', (key: string) => redis.set(key, 'x', 'PX', DAY_MS)],
  ['of another type', (key: string) => redis.hset(key, 'x', 'x')],
] as const)('an invalid lease (%s) does not block the check: KMS is called once for all processes', async ([, put]) => {
  const [one, other] = [await startProcess(), await startProcess()];
  await put(leaseOf(tenant));
  clock.advance(INTERVAL_MS);
  await one.check.tick();
  await other.check.tick();
  expect([one.checked, other.checked]).toEqual([[tenant], []]);
  expect(one.check.lastVerifiedAgeMs()).toBe(0);
  expect(other.check.lastVerifiedAgeMs()).toBeLessThan(LEASE_MS);
});

test("another process's lease counts as a check at its beginning", async () => {
  const { check, checked } = await startProcess();
  await redis.set(leaseOf(tenant), 'x', 'PX', INTERVAL_MS - 100_000);
  clock.advance(INTERVAL_MS);
  await check.tick();
  expect(checked).toEqual([]);
  expect(Math.round(check.lastVerifiedAgeMs() / LEASE_MS) * LEASE_MS).toBe(100_000);
});

test.for([
  ['', (key: string) => redis.set(key, 'x', 'PX', LEASE_MS)],
  [' of another type', (key: string) => redis.multi().del(key).hset(key, 'x', 'x').pexpire(key, LEASE_MS).exec()],
] as const)('a lease%s renewed without a result is not waited for', async ([, put]) => {
  const { check, checked } = await startProcess();
  clock.advance(INTERVAL_MS);
  for (const waitedMs of [0, 10_000]) {
    await put(leaseOf(tenant));
    await check.tick();
    expect([checked, check.lastVerifiedAgeMs()]).toEqual([[], INTERVAL_MS + waitedMs]);
    clock.advance(10_000);
  }
  await put(leaseOf(tenant));
  await check.tick();
  expect([checked, check.lastVerifiedAgeMs()]).toEqual([[tenant], 0]);
  clock.advance(INTERVAL_MS - 1);
  await check.tick();
  expect(checked).toEqual([tenant]);
});

test('a process without the data key records no success, and the next process calls KMS', async () => {
  const { ring } = await fixture.open({ clock });
  const one = await startProcess([tenant], (held) => ring.recheck(held));
  const other = await startProcess();
  clock.advance(INTERVAL_MS);
  await one.check.tick();
  expect([one.check.lastVerifiedAgeMs(), await redis.exists(leaseOf(tenant))]).toEqual([INTERVAL_MS, 0]);
  await other.check.tick();
  expect([other.checked, other.check.lastVerifiedAgeMs()]).toEqual([[tenant], 0]);
});

test('recheck() returns whether it called KMS', async () => {
  const ref = fixture.tenant();
  const { ring } = await fixture.open({ clock });
  await ring.current(ref, 'documents', 1);
  const held = ring.heldUnder()[0]!;
  expect(await ring.recheck(held)).toBe(true);
  ring.wipe(held);
  expect(await ring.recheck(held)).toBe(false);
  expect(fixture.kms.counts.count({ operation: 'Decrypt', key: ref.keyArn })).toBe(1);
});

test('hanging keys delay other tenants by less than a second the first time, and not at all later', async () => {
  const hanging = new Set(Array.from({ length: 40 }, (_, at) => `${tenant}-${at}`));
  let hung = Promise.withResolvers<boolean>();
  const { check, checked } = await startProcess([...hanging, tenant], async (held) =>
    hanging.has(held.tenant) ? hung.promise : true,
  );
  const timesChecked = (): number => checked.filter((name) => name === tenant).length;
  const fail = (): void => hung.reject(new SealdexError('KMS_FAILED'));

  clock.advance(INTERVAL_MS);
  const first = check.tick();
  for (const started of [16, 32]) {
    await eventually(() => checked.length === started);
    clock.advance(250);
  }
  await eventually(() => timesChecked() === 1);
  fail();
  await first;
  // Redis' clock does not advance here: keys that would have expired are deleted.
  await redis.del(leaseOf(tenant));
  expect(check.lastVerifiedAgeMs()).toBe(INTERVAL_MS + 500);

  hung = Promise.withResolvers();
  clock.advance(INTERVAL_MS);
  const second = check.tick();
  await eventually(() => timesChecked() === 2);
  fail();
  await second;
});

test('polls continue while a key hangs, and do not check that key again', async () => {
  const hung = Promise.withResolvers<boolean>();
  const late = `${tenant}-late`;
  const names = [tenant];
  const { check, checked } = openProcess(names, async (held) => held.tenant !== tenant || hung.promise);
  const pollUntil = (isSeen: () => boolean) => eventually(() => (clock.advance(1000), isSeen()));
  clock.advance(INTERVAL_MS);
  await pollUntil(() => checked.length > 0);
  names.push(late);
  await pollUntil(() => checked.length > 1);
  expect(checked).toEqual([tenant, late]);
  hung.resolve(true);
  await check.stop();
});
