// The revocation check: KMS is asked again for every tenant and KMS key of which a data key is in memory, by one process of
// the fleet in each interval, so that a key that is disabled, or a permission that is taken away, is seen before the hour is over.
import { askedBy } from '../audit-log.ts';
import { repeat, type Clock } from '../clock.ts';
import { dispositionOf, SealdexError } from '../errors.ts';
import { takeLease } from '../lease.ts';
import { gateId } from '../names.ts';
import { ask, type Redis, type RedisKeys } from '../redis.ts';
import type { KeyRing, HeldUnder } from './key-ring.ts';

export interface KeyCheckDeps {
  readonly clock: Clock;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly ring: Pick<KeyRing, 'heldUnder' | 'askAgain'>;
  /** How often; 0: never. */
  readonly keyCheckMs: number;
}

export interface KeyCheck {
  /** Asks for every key that is due. */
  tick(): Promise<void>;
  /** How long ago KMS last said yes, of the key of which that is longest ago: milliseconds; 0 without keys. */
  unaskedMs(): number;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 1000;
/** Longer than a call takes; when it is good, the lease is kept for the interval. */
const LEASE_MS = 10_000;
/** After a fault that says nothing of the key. */
const AGAIN_MS = 10_000;
const AT_ONCE = 8;

interface Known {
  /** Monotonic clock: when KMS last said yes to anybody, as far as is known here, and when it is asked again. */
  at: number;
  due: number;
}

export function startKeyCheck(deps: KeyCheckDeps): KeyCheck {
  const { clock, keyCheckMs } = deps;
  const known = new Map<string, Known>();
  const idOf = ({ tenant, keyArn }: HeldUnder): string => gateId(tenant, keyArn);

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

  const check = async (held: HeldUnder, entry: Known): Promise<void> => {
    const key = deps.keys.lease(`key-check:${idOf(held)}`);
    const now = clock.monotonic();
    const lease = await takeLease(deps.redis, key, LEASE_MS);
    if (!lease) {
      // Somebody else's: good until it ends. A short one is a call under way, and the next look sees how that ended.
      const leftMs = Math.max(0, await ask(deps.redis.pttl(key)));
      entry.due = now + Math.min(leftMs, leftMs > LEASE_MS ? keyCheckMs : LOOK_EVERY_MS);
      if (leftMs > LEASE_MS) entry.at = Math.max(entry.at, now - (keyCheckMs - leftMs));
      return;
    }
    try {
      await askedBy({ activity: 'revocation check' }, () => deps.ring.askAgain(held));
      entry.at = now;
      entry.due = now + keyCheckMs;
      await lease.renew(keyCheckMs);
    } catch (error) {
      entry.due = now + Math.min(AGAIN_MS, keyCheckMs);
      await lease.free().catch(() => {});
      // The gate is shut and the key wiped by now, or it was no word of the key.
      if (!(error instanceof SealdexError) || dispositionOf(error.code).disposition === 'none') throw error;
    }
  };

  const tick = async (): Promise<void> => {
    const due = look().filter(([, entry]) => entry.due <= clock.monotonic());
    for (let at = 0; at < due.length; at += AT_ONCE)
      await Promise.allSettled(due.slice(at, at + AT_ONCE).map(([held, entry]) => check(held, entry)));
  };

  const loop = keyCheckMs === 0 ? undefined : repeat(clock, LOOK_EVERY_MS, tick);
  return {
    tick,
    unaskedMs() {
      const now = clock.monotonic();
      return look().reduce((most, [, { at }]) => Math.max(most, now - at), 0);
    },
    // A call that hangs ends with its client.
    stop: async () => void loop?.stop(),
  };
}
