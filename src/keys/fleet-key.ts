// The data key that the fleet shares in a period: unwrapped from Redis, made under a claim, or awaited from who makes it.
// Redis is not trusted: an entry that does not unwrap is replaced. Holds no keys and knows nothing of who uses them.
import { sleep, type Clock, type WaitMode } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import { periodAt, type DataKey, type KeyScope } from './data-key.ts';
import { isWrongWrapping } from './kms.ts';
import { parseEntry, type SharedKeys } from './shared-keys.ts';

/** How long a first use waits for other processes before it gives up. */
const WAIT_MS = { patient: 20_000, prompt: 950 };
const POLL_MS = 50;

/** One is usual; a second when a claim ran out, or a bad entry came in between. More is somebody writing to Redis. */
const MOST_ROUNDS = 3;

export interface FleetKeyDeps {
  readonly clock: Clock;
  readonly shared: SharedKeys;
  readonly use: WaitMode;
  readonly signal: AbortSignal;
  readonly unwrap: (wrapped: Buffer) => Promise<DataKey>;
  readonly generate: () => Promise<DataKey>;
  /** Wipes a key that lost against another process's. */
  readonly discard: (key: DataKey) => void;
}

/**
 * @returns the key, or undefined when the period ended meanwhile.
 * @throws SealdexError of KMS or Redis; `KMS_FAILED` with reason `ClaimWait` when who has the claim does not come to an
 * end; `REDIS_FAILED` with reason `KeyEntry` when somebody replaces every entry that we write
 */
export async function fleetKey(deps: FleetKeyDeps, ref: KeyRef, scope: KeyScope): Promise<DataKey | undefined> {
  const { clock, shared, use, signal } = deps;
  const giveUpAt = clock.monotonic() + WAIT_MS[use];
  let bad = '';
  let rounds = 0;
  while (periodAt(ref.tenant, clock.now()) === scope.period) {
    signal.throwIfAborted();
    const entry = await shared.read(ref, scope);
    const key = entry === bad ? undefined : await unwrapEntry(deps, entry, ref);
    if (key) return key;
    bad = entry;
    const token = await shared.claim(ref, scope);
    if (token === undefined) {
      if (clock.monotonic() >= giveUpAt) throw new SealdexError('KMS_FAILED', undefined, { reason: 'ClaimWait' });
      await sleep(clock, POLL_MS, signal);
    } else {
      const made = await make(deps, entry, token, ref, scope);
      if (made) return made;
      rounds += 1;
      if (rounds === MOST_ROUNDS) throw new SealdexError('REDIS_FAILED', undefined, { reason: 'KeyEntry' });
    }
  }
  return undefined;
}

/** undefined: no entry, or one that must be replaced. */
async function unwrapEntry(deps: FleetKeyDeps, entry: string, ref: KeyRef): Promise<DataKey | undefined> {
  const wrapped = parseEntry(entry, ref);
  if (!wrapped) return undefined;
  try {
    return await deps.unwrap(wrapped);
  } catch (error) {
    if (isWrongWrapping(error)) return undefined;
    throw error;
  }
}

/** Makes the fleet's key under the claim; undefined when another entry stands there by now. */
async function make(
  { shared, generate, discard }: FleetKeyDeps,
  seen: string,
  token: string,
  ref: KeyRef,
  scope: KeyScope,
): Promise<DataKey | undefined> {
  let key: DataKey | undefined;
  let isShared = false;
  try {
    // Between our look and our claim the last claimer may have finished.
    if ((await shared.read(ref, scope)) !== seen) return undefined;
    key = await generate();
    const standing = parseEntry(await shared.put(ref, scope, seen, key.wrapped, token), ref);
    isShared = standing?.equals(key.wrapped) ?? false;
    return isShared ? key : undefined;
  } finally {
    if (key && !isShared) discard(key);
    // Nobody waits for it: a claim that is not freed runs out, and when Redis is down the caller hears so at once.
    if (!isShared) shared.free(ref, scope, token).catch(() => {});
  }
}
