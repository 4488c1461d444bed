// Revocation check: verifies with KMS every tenant and KMS key for which a data key is held, once per interval and fleet, so that
// a disabled key or a removed permission is detected before the data key expires.
import { gateId } from '../runtime/key-ref.ts';
import { withAuditContext } from '../runtime/audit-log.ts';
import { repeat, type Clock } from '../runtime/clock.ts';
import { dispositionOf, SealdexError } from '../runtime/errors.ts';
import { takeLease } from '../runtime/lease.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import type { KeyRing, HeldUnder } from './key-ring.ts';
import { FastSlowLimiter } from './fast-slow-limiter.ts';

export interface RevocationCheckDeps {
  readonly clock: Clock;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly ring: Pick<KeyRing, 'heldUnder' | 'recheck'>;
  /** Interval in milliseconds; 0: never. */
  readonly keyCheckMs: number;
}

export interface RevocationCheck {
  /** Verifies every key that is due. */
  tick(): Promise<void>;
  /** Age of the least recently verified KMS key, in milliseconds; 0 without keys. */
  lastVerifiedAgeMs(): number;
  stop(): Promise<void>;
}

const POLL_INTERVAL_MS = 1000;
/** Longer than a call takes. After a success, the lease is kept for the interval. */
const LEASE_MS = 10_000;
/** Maximum time that leases of other processes defer a check: the rest of a kept lease, and one call. */
const MAX_DEFER_MS = 2 * LEASE_MS;
/** After an error that gives no result about the key. */
const RETRY_DELAY_MS = 10_000;

interface Known {
  /** Monotonic clock: the last success known to this process, and the next check. */
  at: number;
  due: number;
}

export function startRevocationCheck(deps: RevocationCheckDeps): RevocationCheck {
  const { clock, keyCheckMs } = deps;
  const known = new Map<string, Known>();
  /** Start of the time in which a lease without a known success has deferred the check. */
  const waiting = new Map<string, number>();
  /** Keys whose last call failed: the next one may hang too, and must not delay others. */
  const failing = new Set<string>();
  const inProgress = new Set<string>();
  const limiter = new FastSlowLimiter(clock);
  const idOf = (held: HeldUnder): string => gateId(held);

  const heldWithAge = (): [HeldUnder, Known][] => {
    const held = deps.ring.heldUnder();
    const ids = new Set(held.map(idOf));
    const now = clock.monotonic();
    // Kept between the end of a data key and the first use of the next one.
    for (const [id, { due }] of known) if (!ids.has(id) && due + keyCheckMs <= now) known.delete(id);
    return held.map((one) => {
      const id = idOf(one);
      const fromThen = one.askedAt + keyCheckMs;
      const { at, due } = known.get(id) ?? { at: 0, due: fromThen };
      // Unwrapping a key verifies it; creating one does not defer the check.
      const entry = { at: Math.max(at, one.askedAt), due: one.isUnwrapped ? Math.max(due, fromThen) : due };
      known.set(id, entry);
      return [one, entry];
    });
  };

  const update = (id: string, asked: Partial<Known>): void => {
    known.set(id, { at: 0, due: 0, ...known.get(id), ...asked });
  };

  /** Returns true if another process's lease, with `leftMs` left, defers the check. */
  const isDeferred = (id: string, now: number, leftMs: number): boolean => {
    // A lease this short is either a call in progress or a kept lease that is about to end. With a short interval the two look
    // the same.
    const at = known.get(id)?.at ?? 0;
    const isGood = keyCheckMs > LEASE_MS ? leftMs > LEASE_MS : leftMs > 0 && leftMs <= keyCheckMs;
    if (isGood) {
      waiting.delete(id);
      update(id, { at: Math.max(at, now - (keyCheckMs - leftMs)), due: now + leftMs });
      return true;
    }
    const before = waiting.get(id);
    const since = before === undefined || before < at ? now : before;
    waiting.set(id, since);
    // The next check reads the result.
    update(id, { due: now + Math.min(Math.max(0, leftMs), POLL_INTERVAL_MS) });
    return now - since < MAX_DEFER_MS;
  };

  const check = async (held: HeldUnder): Promise<void> => {
    const id = idOf(held);
    const key = deps.keys.lease(`revocation-check:${id}`);
    const now = clock.monotonic();
    const lease = await takeLease(deps.redis, key, LEASE_MS, Math.max(LEASE_MS, keyCheckMs));
    if (!lease && isDeferred(id, now, await runCommand(deps.redis.pttl(key)))) return;
    waiting.delete(id);
    try {
      // The data key may have expired meanwhile: then other processes must not take the lease for a success.
      const isVerified = await withAuditContext({ activity: 'revocation check' }, () => deps.ring.recheck(held));
      if (!isVerified) return await lease?.free();
      failing.delete(id);
      update(id, { at: now, due: now + keyCheckMs });
      await lease?.renew(keyCheckMs);
    } catch (error) {
      failing.add(id);
      update(id, { due: now + Math.min(RETRY_DELAY_MS, keyCheckMs) });
      await lease?.free().catch(() => {});
      // Either the gate is shut and the keys erased by now, or the error gives no result about the key.
      if (!(error instanceof SealdexError) || dispositionOf(error.code).disposition === 'none') throw error;
    }
  };

  const tick = async (): Promise<void> => {
    const held = heldWithAge();
    const here = new Set(held.map(([one]) => idOf(one)));
    for (const ids of [waiting, failing]) for (const id of ids.keys()) if (!here.has(id)) ids.delete(id);
    const due = held.filter(([one, entry]) => entry.due <= clock.monotonic() && !inProgress.has(idOf(one)));
    await Promise.allSettled(
      due.map(async ([one]) => {
        const id = idOf(one);
        inProgress.add(id);
        await limiter.run(failing.has(id), () => check(one)).finally(() => inProgress.delete(id));
      }),
    );
  };

  // The next check does not wait for a call that hangs.
  const loop = keyCheckMs === 0 ? undefined : repeat(clock, POLL_INTERVAL_MS, async () => void tick());
  return {
    tick,
    lastVerifiedAgeMs() {
      const now = clock.monotonic();
      return heldWithAge().reduce((most, [, { at }]) => Math.max(most, now - at), 0);
    },
    // Closing the client ends a call that hangs.
    stop: async () => void loop?.stop(),
  };
}
