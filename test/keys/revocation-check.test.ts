// The revocation check of one process: the KMS calls that delay the next check, and those that do not.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import type { KeyRef } from '../../src/runtime/key-ref.ts';
import { periodAt, periodEnd } from '../../src/keys/data-key.ts';
import { startRevocationCheck, type RevocationCheck } from '../../src/keys/revocation-check.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { contextOf, HOUR_MS } from './fixture.ts';
import { openRedisFixture, type RedisRing, type RedisFixture } from './redis-fixture.ts';

const CHECK_MS = 300_000;

let fixture: RedisFixture;

beforeAll(async () => {
  fixture = await openRedisFixture();
});
afterEach(() => fixture.kms.faults.clear());
afterAll(() => fixture[Symbol.asyncDispose]());

interface Checked extends RedisRing {
  readonly clock: FakeClock;
  readonly check: RevocationCheck;
  readonly ref: KeyRef;
  readonly decrypts: () => number;
}

/** In a period with the given time left. */
async function open(leftMs: number): Promise<Checked> {
  const ref = fixture.tenant();
  const clock = new FakeClock(periodEnd(contextOf(ref.tenant).period)! - leftMs);
  const one = await fixture.open({ clock });
  const keys = redisKeys(fixture.config.queue);
  const check = startRevocationCheck({ clock, redis: one.redis, keys, ring: one.ring, keyCheckMs: CHECK_MS });
  // From here on the test triggers its polls.
  await check.stop();
  return {
    ...one,
    clock,
    check,
    ref,
    decrypts: () => fixture.kms.counts.count({ tenant: ref.tenant, operation: 'Decrypt' }),
  };
}

test('KMS is called again an interval after the first data key', async () => {
  const { ring, check, clock, decrypts, ref } = await open(HOUR_MS);
  await ring.current(ref, 'documents', 1);
  clock.advance(CHECK_MS - 1);
  await check.tick();
  expect([decrypts(), check.lastVerifiedAgeMs()]).toEqual([0, CHECK_MS - 1]);
  clock.advance(1);
  await check.tick();
  expect([decrypts(), check.lastVerifiedAgeMs()]).toEqual([1, 0]);
});

test('a new data key for the next period does not delay the check: Decrypt alone may be denied', async () => {
  const { ring, check, clock, ref } = await open(CHECK_MS - 1000);
  await ring.current(ref, 'documents', 1);
  await check.tick();
  fixture.kms.faults.set({ match: { key: ref.keyArn, operation: 'Decrypt' }, fault: KMS_FAULTS.accessDenied });
  clock.advance(CHECK_MS - 1000);
  await check.tick();
  await ring.current(ref, 'documents', 1);
  expect(ring.stats().keys).toBe(1);
  clock.advance(1000);
  await check.tick();
  expect(ring.stats().keys).toBe(0);
});

test('a new data key for the next period does not delay an overdue check', async () => {
  const { ring, check, clock, decrypts, ref } = await open(CHECK_MS - 1000);
  await ring.current(ref, 'documents', 1);
  await check.tick();
  clock.advance(CHECK_MS + 1000);
  await check.tick();
  await ring.current(ref, 'documents', 1);
  await check.tick();
  expect(decrypts()).toBe(1);
});

test('an unwrapped data key for the next period counts as a check', async () => {
  const { ring, kms, check, clock, decrypts, ref } = await open(CHECK_MS - 1000);
  const unwrap = async (): Promise<void> => {
    const context = { tenant: ref.tenant, period: periodAt(ref.tenant, clock.now()), purpose: 'documents' } as const;
    const { wrapped } = await kms.generateDataKey(ref, context);
    await ring.unwrap(ref, wrapped, context);
  };
  await unwrap();
  await check.tick();
  clock.advance(CHECK_MS - 1000);
  await unwrap();
  clock.advance(CHECK_MS - 1);
  await check.tick();
  expect(decrypts()).toBe(2);
  clock.advance(1);
  await check.tick();
  expect(decrypts()).toBe(3);
});
