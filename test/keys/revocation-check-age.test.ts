// The revocation check of two processes: the time since the last check never exceeds the interval and one poll, unless it
// fails.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { periodAt } from '../../src/keys/data-key.ts';
import { startRevocationCheck } from '../../src/keys/revocation-check.ts';
import { gateId } from '../../src/runtime/key-ref.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { HOUR_MS } from './fixture.ts';
import { openRedisFixture, type RedisFixture } from './redis-fixture.ts';

const INTERVAL_MS = 60_000;
const POLL_MS = 1000;

let fixture: RedisFixture;

beforeAll(async () => {
  fixture = await openRedisFixture();
});
afterEach(() => fixture.kms.faults.clear());
afterAll(() => fixture[Symbol.asyncDispose]());

/** Two processes at the start of one tenant's period. */
async function fleet(keyCheckMs: number) {
  const ref = fixture.tenant();
  const clock = new FakeClock(Date.parse(periodAt(ref.tenant, new FakeClock().now())));
  const keys = redisKeys(fixture.config.queue);
  const { redis, ...first } = await fixture.open({ clock });
  const rings = [{ redis, ...first }, await fixture.open({ clock })];
  const processes = rings.map((one) => ({
    check: startRevocationCheck({ clock, redis: one.redis, keys, ring: one.ring, keyCheckMs }),
    encrypt: () => one.ring.current(ref, 'documents', 1),
  }));
  // The test triggers the polls of the loop; without an interval there must be no loop.
  if (keyCheckMs > 0) for (const { check } of processes) await check.stop();
  const lease = keys.lease(`revocation-check:${gateId(ref)}`);
  /** A poll of both processes after the clock has advanced, for Redis too. Returns both ages. */
  const poll = async (ms = POLL_MS): Promise<number[]> => {
    const leftMs = await redis.pttl(lease);
    if (leftMs > 0) await redis.pexpire(lease, Math.max(0, leftMs - ms));
    clock.advance(ms);
    if (keyCheckMs > 0) await Promise.all(processes.map(({ check }) => check.tick()));
    return processes.map(({ check }) => check.lastVerifiedAgeMs());
  };
  /** The highest age of each process in the given number of polls. */
  const longest = async (polls: number): Promise<number[]> => {
    let most = processes.map(() => 0);
    for (let count = 0; count < polls; count += 1) {
      const ages = await poll();
      most = most.map((age, index) => Math.max(age, ages[index]!));
    }
    return most;
  };
  const calls = (): number => fixture.kms.counts.count({ key: ref.keyArn, operation: 'Decrypt' });
  return { arn: ref.keyArn, processes, poll, longest, calls };
}

test('one process per interval calls KMS, and no key stays unverified for longer than interval and poll', async () => {
  const { processes, poll, longest, calls } = await fleet(INTERVAL_MS);
  const [one, other] = processes;
  await one!.encrypt();
  await longest(20);
  await other!.encrypt();
  const before = calls();
  expect(await poll(0)).toEqual([20 * POLL_MS, 0]);
  const most = await longest(39);
  expect(most).toEqual([59 * POLL_MS, 39 * POLL_MS]);
  expect(calls()).toBe(before);
  const [mine = NaN] = await poll();
  expect([mine, calls()]).toEqual([0, before + 1]);
  for (const age of await longest(2 * 60)) {
    expect(age).toBeGreaterThan(INTERVAL_MS / 2);
    expect(age).toBeLessThanOrEqual(INTERVAL_MS + POLL_MS);
  }
  expect(calls()).toBeGreaterThanOrEqual(before + 3);
  expect(calls()).toBeLessThanOrEqual(before + 4);
});

test('the age of a key rises while its check fails, and falls with the first success', async () => {
  const { arn, processes, poll, longest } = await fleet(INTERVAL_MS);
  for (const { encrypt } of processes) await encrypt();
  fixture.kms.faults.set({ match: { key: arn }, fault: KMS_FAULTS.internal });
  await longest(150);
  expect(await poll(0)).toEqual([150 * POLL_MS, 150 * POLL_MS]);
  fixture.kms.faults.clear();
  const most = await longest(20);
  expect(Math.max(...most)).toBeLessThan(165 * POLL_MS);
  for (const age of await poll(0)) expect(age).toBeLessThan(20 * POLL_MS);
});

test('the age of a key rises for an hour without an interval, and no call is made', async () => {
  const { processes, poll, calls } = await fleet(0);
  for (const { encrypt } of processes) await encrypt();
  const before = calls();
  for (let minute = 1; minute < 60; minute += 1)
    expect(await poll(HOUR_MS / 60)).toEqual([(minute * HOUR_MS) / 60, (minute * HOUR_MS) / 60]);
  expect(calls()).toBe(before);
});
