// The revocation check: KMS is asked again for every tenant and KMS key of which a data key is in memory, by one process of
// the fleet in each interval, so that a key that is disabled, or a permission that is taken away, is seen before the hour is over.
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
  /** How often; 0: never. */
  readonly keyCheckMs: number;
}

export interface RevocationCheck {
  /** Asks for every key that is due. */
  tick(): Promise<void>;
  /** How long ago KMS last said yes, of the key of which that is longest ago: milliseconds; 0 without keys. */
  lastVerifiedAgeMs(): number;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 1000;
/** Longer than a call takes; when it is good, the lease is kept for the interval. */
const LEASE_MS = 10_000;
/** How long those of others may be in the way: what is left of one that was kept, and a call. */
const WAITING_MS = 2 * LEASE_MS;
/** After a fault that says nothing of the key. */
const RETRY_DELAY_MS = 10_000;

interface Known {
  /** Monotonic clock: when KMS last said yes to anybody, as far as is known here, and when it is asked again. */
  at: number;
  due: number;
}

export function startRevocationCheck(deps: RevocationCheckDeps): RevocationCheck {
  const { clock, keyCheckMs } = deps;
  const known = new Map<string, Known>();
  /** Since when a lease is in the way of which nobody has said yes. */
  const waiting = new Map<string, number>();
  /** Whose last call failed: the next one may hang as well, and must keep nobody waiting. */
  const failing = new Set<string>();
  const underWay = new Set<string>();
  const turns = new FastSlowLimiter(clock);
  const idOf = (held: HeldUnder): string => gateId(held);

  const look = (): [HeldUnder, Known][] => {
    const held = deps.ring.heldUnder();
    const ids = new Set(held.map(idOf));
    const now = clock.monotonic();
    // Between the end of a data key and the first use of the next one nothing is forgotten.
    for (const [id, { due }] of known) if (!ids.has(id) && due + keyCheckMs <= now) known.delete(id);
    return held.map((one) => {
      const id = idOf(one);
      const fromThen = one.askedAt + keyCheckMs;
      const { at, due } = known.get(id) ?? { at: 0, due: fromThen };
      // Unwrapping a key is as good as asking again; making one puts nothing off.
      const entry = { at: Math.max(at, one.askedAt), due: one.isUnwrapped ? Math.max(due, fromThen) : due };
      known.set(id, entry);
      return [one, entry];
    });
  };

  const note = (id: string, asked: Partial<Known>): void => {
    known.set(id, { at: 0, due: 0, ...known.get(id), ...asked });
  };

  /** Whether somebody else's lease, which ends in so long, keeps us from asking. */
  const heeds = (id: string, now: number, leftMs: number): boolean => {
    // As short as a call takes it is of somebody who asks, or about to end; which of them, a short interval does not tell.
    const at = known.get(id)?.at ?? 0;
    const isGood = keyCheckMs > LEASE_MS ? leftMs > LEASE_MS : leftMs > 0 && leftMs <= keyCheckMs;
    if (isGood) {
      waiting.delete(id);
      note(id, { at: Math.max(at, now - (keyCheckMs - leftMs)), due: now + leftMs });
      return true;
    }
    const before = waiting.get(id);
    const since = before === undefined || before < at ? now : before;
    waiting.set(id, since);
    // The next look sees how that ended.
    note(id, { due: now + Math.min(Math.max(0, leftMs), LOOK_EVERY_MS) });
    return now - since < WAITING_MS;
  };

  const check = async (held: HeldUnder): Promise<void> => {
    const id = idOf(held);
    const key = deps.keys.lease(`revocation-check:${id}`);
    const now = clock.monotonic();
    const lease = await takeLease(deps.redis, key, LEASE_MS, Math.max(LEASE_MS, keyCheckMs));
    if (!lease && heeds(id, now, await runCommand(deps.redis.pttl(key)))) return;
    waiting.delete(id);
    try {
      // Its key may have run out since the look: then others that have one must not take it for a yes.
      const isAsked = await withAuditContext({ activity: 'revocation check' }, () => deps.ring.recheck(held));
      if (!isAsked) return await lease?.free();
      failing.delete(id);
      note(id, { at: now, due: now + keyCheckMs });
      await lease?.renew(keyCheckMs);
    } catch (error) {
      failing.add(id);
      note(id, { due: now + Math.min(RETRY_DELAY_MS, keyCheckMs) });
      await lease?.free().catch(() => {});
      // The gate is shut and the key wiped by now, or it was no word of the key.
      if (!(error instanceof SealdexError) || dispositionOf(error.code).disposition === 'none') throw error;
    }
  };

  const tick = async (): Promise<void> => {
    const held = look();
    const here = new Set(held.map(([one]) => idOf(one)));
    for (const ids of [waiting, failing]) for (const id of ids.keys()) if (!here.has(id)) ids.delete(id);
    const due = held.filter(([one, entry]) => entry.due <= clock.monotonic() && !underWay.has(idOf(one)));
    await Promise.allSettled(
      due.map(async ([one]) => {
        const id = idOf(one);
        underWay.add(id);
        await turns.run(failing.has(id), () => check(one)).finally(() => underWay.delete(id));
      }),
    );
  };

  // The next look does not wait for what hangs.
  const loop = keyCheckMs === 0 ? undefined : repeat(clock, LOOK_EVERY_MS, async () => void tick());
  return {
    tick,
    lastVerifiedAgeMs() {
      const now = clock.monotonic();
      return look().reduce((most, [, { at }]) => Math.max(most, now - at), 0);
    },
    // A call that hangs ends with its client.
    stop: async () => void loop?.stop(),
  };
}
