// KMS calls over two hours, by three processes that all use every tenant's key every five minutes. The numbers are exact: one
// call more or less in any minute fails the test. fleet.test.ts has few tenants, with the real SDK and real processes.
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gateId, type KeyRef } from '../../src/runtime/key-ref.ts';
import { sleep, systemClock } from '../../src/runtime/clock.ts';
import { contextOf, periodAt, type KeyScope } from '../../src/keys/data-key.ts';
import { startRevocationCheck, type RevocationCheck } from '../../src/keys/revocation-check.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { openRedisFixture, type RedisRing, type RedisFixture } from './redis-fixture.ts';

const PROCESSES = 3;
const MINUTES = 120;
const MINUTE_MS = 60_000;
/** Some of the tenants in each minute. */
const USE_EVERY = 5;
/** Seconds into each minute, after its uses: their waits for each other do not affect when a check is due. */
const CHECK_AT_MS = 45_000;
/** While uses wait, the fake clocks run this many times faster than the real one. */
const FASTER = 3;
const TURN_MS = 5;
const CALL_MS = 1;
/** Tenants with their first uses in progress at once. */
const AT_ONCE = 16;

interface Process extends RedisRing {
  readonly clock: FakeClock;
  readonly check: RevocationCheck;
}

/** KMS calls. */
interface Calls {
  readonly generated: number;
  readonly decrypted: number;
}

const BEGUN = new FakeClock().now();
const allMinutes = Array.from({ length: MINUTES }, (_, minute) => minute);
const usedIn = <T>(tenants: readonly T[], minute: number): T[] =>
  tenants.filter((_, index) => index % USE_EVERY === minute % USE_EVERY);
const total = (calls: readonly Calls[]): Calls => ({
  generated: calls.reduce((sum, { generated }) => sum + generated, 0),
  decrypted: calls.reduce((sum, { decrypted }) => sum + decrypted, 0),
});

let fixture: RedisFixture;

beforeEach(async () => {
  fixture = await openRedisFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

/** KMS as a key ring sees it, with a record of each wrapped key. */
function countingKms(): { readonly kms: Kms; readonly taken: () => Calls } {
  const wrappedKeys = new Map<string, Buffer>();
  const idOf = (key: KeyRef, wrapped: Uint8Array, scope: KeyScope): string =>
    JSON.stringify([key.keyArn, Buffer.from(wrapped).toString('base64'), contextOf(key, scope)]);
  let calls: Calls = { generated: 0, decrypted: 0 };
  return {
    kms: {
      async generateDataKey(key, scope) {
        calls = { ...calls, generated: calls.generated + 1 };
        await sleep(systemClock, CALL_MS);
        const [plaintext, wrapped] = [randomBytes(32), randomBytes(184)];
        wrappedKeys.set(idOf(key, wrapped, scope), Buffer.from(plaintext));
        return { plaintext, wrapped };
      },
      async decrypt(key, wrapped, scope) {
        calls = { ...calls, decrypted: calls.decrypted + 1 };
        await sleep(systemClock, CALL_MS);
        return Buffer.from(wrappedKeys.get(idOf(key, wrapped, scope))!);
      },
      close() {},
    },
    taken: () => {
      const taken = calls;
      calls = { generated: 0, decrypted: 0 };
      return taken;
    },
  };
}

async function startProcess(kms: Kms, keyCheckMs: number): Promise<Process> {
  const clock = new FakeClock();
  const one = await fixture.open({ clock, kms });
  const keys = redisKeys(fixture.config.queue);
  const check = startRevocationCheck({ clock, redis: one.redis, keys, ring: one.ring, keyCheckMs });
  // From here on the test triggers its polls.
  await check.stop();
  return { ...one, clock, check };
}

async function waitFor(processes: readonly Process[], work: Promise<unknown>): Promise<void> {
  const end = work.then(() => true);
  for (let isOver = false; !isOver;) {
    const begun = systemClock.monotonic();
    isOver = await Promise.race([end, sleep(systemClock, TURN_MS).then(() => false)]);
    for (const { clock } of processes) clock.advance(Math.round((systemClock.monotonic() - begun) * FASTER));
  }
}

async function useAll(processes: readonly Process[], tenants: readonly KeyRef[]): Promise<void> {
  const left = tenants.values();
  const useNext = async (): Promise<void> => {
    for (const ref of left) await Promise.all(processes.map(({ ring }) => ring.current(ref, 'documents', 1)));
  };
  await waitFor(processes, Promise.all(Array.from({ length: AT_ONCE }, useNext)));
}

/** Redis' clock cannot be moved: keys that would have expired are deleted, and the others get a shorter life. */
async function age({ redis }: Process, tenants: readonly KeyRef[], ms: number): Promise<void> {
  const keys = redisKeys(fixture.config.queue);
  const leases = tenants.map((ref) => keys.lease(`revocation-check:${gateId(ref)}`));
  await redis.eval(
    `for _, key in ipairs(KEYS) do
      local left = redis.call('PTTL', key)
      if left > 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
    end`,
    leases.length,
    ...leases,
    ms,
  );
}

/** KMS calls in each minute. */
async function countCalls(tenants: readonly KeyRef[], keyCheckMs = 0): Promise<Calls[]> {
  const { kms, taken } = countingKms();
  const processes = await Promise.all(Array.from({ length: PROCESSES }, () => startProcess(kms, keyCheckMs)));
  const goTo = (ms: number): void => processes.forEach(({ clock }) => clock.advance(BEGUN + ms - clock.now()));
  const calls: Calls[] = [];
  for (const minute of allMinutes) {
    goTo(minute * MINUTE_MS);
    await useAll(processes, usedIn(tenants, minute));
    goTo(minute * MINUTE_MS + CHECK_AT_MS);
    if (keyCheckMs > 0) {
      await Promise.all(processes.map(({ check }) => check.tick()));
      await age(processes[0]!, tenants, MINUTE_MS);
    }
    calls.push(taken());
  }
  return calls;
}

/**
 * In each period one GenerateDataKey and a Decrypt for each further process; with revocation checks one more in each
 * interval while there is a key.
 */
function promised(tenants: readonly KeyRef[], checkMinutes?: number): Calls[] {
  const periods = new Map<KeyRef, string>();
  const checked = new Map<KeyRef, number>();
  const isDue = (one: KeyRef, minute: number): boolean =>
    checkMinutes !== undefined && minute - (checked.get(one) ?? minute) >= checkMinutes;
  return allMinutes.map((minute) => {
    const periodOf = ({ tenant }: KeyRef): string => periodAt(tenant, BEGUN + minute * MINUTE_MS);
    const first = usedIn(tenants, minute).filter((one) => periods.get(one) !== periodOf(one));
    for (const one of first) {
      periods.set(one, periodOf(one));
      if (!checked.has(one)) checked.set(one, minute);
    }
    const due = tenants.filter((one) => periods.get(one) === periodOf(one) && isDue(one, minute));
    for (const one of due) checked.set(one, minute);
    return { generated: first.length, decrypted: first.length * (PROCESSES - 1) + due.length };
  });
}

const tenantsOf = (count: number): KeyRef[] => Array.from({ length: count }, () => fixture.tenant());
const most = (calls: readonly Calls[]): number =>
  Math.max(...calls.map(({ generated, decrypted }) => generated + decrypted));

test('1,000 tenants cost one GenerateDataKey an hour and one Decrypt for each further process, spread over the hour', async () => {
  const tenants = tenantsOf(1000);
  const calls = await countCalls(tenants);
  expect(calls).toEqual(promised(tenants));
  expect(total(calls.slice(60))).toEqual({ generated: 1000, decrypted: 2000 });
  expect(most(calls.slice(60))).toBeLessThanOrEqual((3 * 3000) / 60);
});

test('a revocation check every five minutes costs one further call per tenant and five minutes for all processes together', async () => {
  const tenants = tenantsOf(100);
  const calls = await countCalls(tenants, 5 * MINUTE_MS);
  expect(calls).toEqual(promised(tenants, 5));
  expect(total(calls.slice(60))).toEqual({ generated: 100, decrypted: 200 + 1200 });
  expect(most(calls.slice(60))).toBeLessThanOrEqual((3 * 1500) / 60);
});
