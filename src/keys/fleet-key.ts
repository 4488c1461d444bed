// The data key that the fleet shares in a period: unwrapped from Redis, created under a claim, or awaited from the process with
// the claim. Redis is not trusted: an entry that does not unwrap is replaced. Holds no keys.
import { sleep, type Clock, type WaitMode } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import { periodAt, type DataKey, type KeyScope } from './data-key.ts';
import { isWrongWrapping } from './kms.ts';
import { parseEntry, type SharedKeys } from './shared-keys.ts';

/** Maximum time that a first use waits for other processes. */
const WAIT_MS = { patient: 20_000, prompt: 950 };
const POLL_MS = 50;

/**
 * One round is usual, a second one follows an expired claim or a bad entry. More rounds mean that something else writes to Redis.
 */
const MAX_ROUNDS = 3;

export interface FleetKeyDeps {
  readonly clock: Clock;
  readonly shared: SharedKeys;
  readonly use: WaitMode;
  readonly signal: AbortSignal;
  readonly unwrap: (wrapped: Buffer) => Promise<DataKey>;
  readonly generate: () => Promise<DataKey>;
  /** Erases a key that another process's key replaces. */
  readonly discard: (key: DataKey) => void;
}

/**
 * @returns the key, or undefined if the period ended meanwhile
 * @throws SealdexError of KMS or Redis; `KMS_FAILED` with reason `ClaimWait` if the process with the claim does not finish;
 * `REDIS_FAILED` with reason `KeyEntry` if something else replaces every entry
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
      if (rounds === MAX_ROUNDS) throw new SealdexError('REDIS_FAILED', undefined, { reason: 'KeyEntry' });
    }
  }
  return undefined;
}

/** Undefined: there is no entry, or it must be replaced. */
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

/** Creates the fleet's key under the claim. Undefined if another entry exists by now. */
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
    // The previous holder of the claim may have finished between the read and the claim.
    if ((await shared.read(ref, scope)) !== seen) return undefined;
    key = await generate();
    const current = parseEntry(await shared.put(ref, scope, seen, key.wrapped, token), ref);
    isShared = current?.equals(key.wrapped) ?? false;
    return isShared ? key : undefined;
  } finally {
    if (key && !isShared) discard(key);
    // Not awaited: a claim that is not freed expires, and the caller must not wait while Redis is down.
    if (!isShared) shared.free(ref, scope, token).catch(() => {});
  }
}
