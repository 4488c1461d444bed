// The key ring of a process: which data key encrypts for a tenant now, and which unwrapped keys are at hand for reading.
// One KMS call for any number of uses at once, never a lock over tenants, nothing kept past its time.
import { isSameKey, keyRef, type KeyRef } from '../runtime/key-ref.ts';
import { orAbort, type Clock, type WaitMode } from '../runtime/clock.ts';
import { dispositionOf, SealdexError } from '../runtime/errors.ts';
import { DataKey, readClocks, periodAt, type KeyScope, type Purpose } from './data-key.ts';
import { fleetKey } from './fleet-key.ts';
import { HeldKeys, idOf, type HeldKeysStats, type WipeReason } from './held-keys.ts';
import type { GeneratedKey, Kms } from './kms.ts';
import type { SharedKeys } from './shared-keys.ts';
import { NO_OBSERVER, type KmsCallObserver } from './key-watch.ts';
import { DeniedPeriods } from './denied-periods.ts';
import { tryKey } from './try-key.ts';
import { KeyUsage, LIMITS, type UsageLimits } from './usage.ts';

/** Keys held that encrypt, and as many for reading; beyond, the oldest is wiped. */
const MAX_KEYS = 10_000;

export interface KeyRingDeps {
  readonly clock: Clock;
  readonly kms: Kms;
  readonly shared: SharedKeys;
  readonly use: WaitMode;
  readonly watch?: KmsCallObserver;
  /** Hears of each use (`hit`: the key was here; `miss`: KMS or the fleet was asked; `shared`: another use asked already). */
  readonly onUse?: (result: 'hit' | 'miss' | 'shared') => void;
  /** Hears of each wipe. */
  readonly onWipe?: (reason: WipeReason) => void;
  readonly limits?: UsageLimits;
  readonly maxKeys?: number;
}

export type KeyRingStats = HeldKeysStats;

/**
 * A tenant's data keys under one KMS key; `askedAt` is when KMS was asked for the newest, by the monotonic clock, and
 * `isUnwrapped` tells whether to unwrap it: that a key may be made does not say that it may be unwrapped.
 */
export interface HeldUnder extends KeyRef {
  readonly askedAt: number;
  readonly isUnwrapped: boolean;
}

/** Between a key's coming and its use lies a turn of the event loop, in which a gate may shut. */
const ENCRYPT_TRIES = 3;

const slotOf = ({ tenant, keyArn }: KeyRef, purpose: Purpose): string => `${purpose} ${tenant} ${keyArn}`;

/** The KMS key, or this period of it, is unusable: then no data key of it may be used on. */
const isUnusable = ({ code }: SealdexError): boolean =>
  dispositionOf(code).disposition === 'park' || code === 'PLATFORM_KEY' || code === 'PERIOD_DENIED';

export class KeyRing {
  readonly #deps: KeyRingDeps;
  readonly #held: HeldKeys;
  /** The key that encrypts now, by purpose, tenant and KMS key; gone with its key. */
  readonly #current = new Map<string, DataKey>();
  readonly #usage: KeyUsage;
  /** Those that KMS made for this process, and that it was not asked to unwrap. */
  readonly #made = new WeakSet<DataKey>();
  /** KMS calls under way: a wipe meets their keys too. */
  readonly #asked = new Set<{ readonly ref: KeyRef; readonly scope: KeyScope; isWiped: boolean }>();
  readonly #renewing = new Map<string, Promise<void>>();
  readonly #unwrapping = new Map<string, Promise<DataKey>>();
  readonly #closing = new AbortController();
  readonly #deniedPeriods: DeniedPeriods;

  constructor(deps: KeyRingDeps) {
    this.#deps = deps;
    const maxKeys = deps.maxKeys ?? MAX_KEYS;
    this.#usage = new KeyUsage(deps.limits ?? LIMITS, maxKeys);
    this.#deniedPeriods = new DeniedPeriods({
      clock: deps.clock,
      tryKey: (key, purpose) => tryKey(deps, key, purpose),
    });
    this.#held = new HeldKeys(deps.clock, maxKeys, (key, reason) => {
      deps.onWipe?.(reason);
      const slot = slotOf(key.ref, key.context.purpose);
      if (this.#current.get(slot) === key) this.#current.delete(slot);
    });
  }

  /**
   * The data key that encrypts for a tenant under a KMS key now; `bytes` is how much the caller is about to encrypt.
   * @throws SealdexError of KMS or Redis; nothing is cached then, the next call asks again.
   */
  async current(ref: KeyRef, purpose: Purpose, bytes: number): Promise<DataKey> {
    const slot = slotOf(ref, purpose);
    for (;;) {
      const period = periodAt(ref.tenant, this.#deps.clock.now());
      const key = this.#current.get(slot);
      const isOfNow = key !== undefined && key.isLive && key.context.period === period;
      const looking = isOfNow ? this.#watchOf(purpose).refresh() : undefined;
      if (looking) await looking;
      else if (isOfNow && this.#usage.count(key.id, bytes)) {
        this.#deps.onUse?.('hit');
        return key;
      } else
        await this.#single(this.#renewing, `${slot} ${period}`, async () => {
          const scope = { period, purpose };
          const renewed = isOfNow ? await this.#generate(ref, scope) : await this.#fleetKey(ref, scope);
          // A key that was wiped or ran out meanwhile is not used: whoever waits for it asks again.
          if (!renewed?.isLive) return;
          this.#held.encryptsNow(renewed);
          this.#current.set(slot, renewed);
        });
    }
  }

  /**
   * Lends the current key to `fn`, which must be synchronous; again with another key when that one was wiped in between.
   * @throws as `current`, and what `fn` throws
   */
  async encrypt<T>(ref: KeyRef, purpose: Purpose, bytes: number, fn: (key: DataKey) => T): Promise<T> {
    for (let tries = 1; ; tries++) {
      const key = await this.current(ref, purpose, bytes);
      try {
        return fn(key);
      } catch (error) {
        if (key.isLive || tries === ENCRYPT_TRIES) throw error;
      }
    }
  }

  /**
   * The data key that a message names, for reading it.
   * @throws SealdexError `OBJECT_TAMPERED` when the wrapped bytes do not belong to this KMS key and scope; others of KMS.
   */
  async unwrap(ref: KeyRef, wrapped: Uint8Array, scope: KeyScope): Promise<DataKey> {
    const id = idOf(ref, wrapped, scope);
    for (;;) {
      const known = this.#held.find(id);
      const looking = known && this.#watchOf(scope.purpose).refresh();
      if (looking) await looking;
      else if (known) {
        this.#deps.onUse?.('hit');
        return known;
      } else {
        const key = await this.#single(this.#unwrapping, id, () => this.#unwrap(ref, Buffer.from(wrapped), scope));
        if (key.isLive) return key;
      }
    }
  }

  /** Wipes a tenant's data keys under a KMS key, since a gate is shut; those on their way here too. Returns how many were here. */
  wipe(ref: KeyRef): number {
    return this.#wipe('shut', ref);
  }

  /** Wipes those of one period if it is given, else those of all. */
  #wipe(reason: WipeReason, ref: KeyRef, period?: string): number {
    const isOf = (one: KeyRef, scope: KeyScope): boolean =>
      isSameKey(one, ref) && (period === undefined || scope.period === period);
    for (const asked of this.#asked) asked.isWiped ||= isOf(asked.ref, asked.scope);
    return this.#held.wipe(reason, (key) => isOf(key.ref, key.context));
  }

  /** Tenants and KMS keys of which a data key for documents is here. */
  heldUnder(): HeldUnder[] {
    return this.#held.newest().map((key) => ({
      ...key.ref,
      askedAt: key.askedAt.monotonic,
      isUnwrapped: !this.#made.has(key),
    }));
  }

  /**
   * Has KMS unwrap the newest data key of a tenant and KMS key again; answers false when there is none any more, and KMS was
   * not asked. When it refuses, its gate is shut and the keys are wiped, as after every refusal. @throws SealdexError of KMS
   */
  async recheck(ref: KeyRef): Promise<boolean> {
    const key = this.#held.newest().find((held) => isSameKey(held.ref, ref));
    if (!key) return false;
    await this.#watched(key.ref, key.context, async () => {
      const plaintext = await this.#deps.kms.decrypt(key.ref, key.wrapped, key.context);
      plaintext.fill(0);
    });
    return true;
  }

  stats(): KeyRingStats {
    return this.#held.stats();
  }

  /** Wipes everything, now and whatever is still on its way; who waits for a key gets an error. May be called twice. */
  close(): void {
    this.#closing.abort(new SealdexError('KMS_FAILED', 'The key ring is closed.', { reason: 'Closed' }));
    this.#held.close();
  }

  /** What waits under the platform key waits because the gate is shut. */
  #watchOf(purpose: Purpose): KmsCallObserver {
    return purpose === 'documents' ? (this.#deps.watch ?? NO_OBSERVER) : NO_OBSERVER;
  }

  /** One flight per id; its failure is everybody's who waits, and nobody's who comes later. */
  #single<T>(flights: Map<string, Promise<T>>, id: string, start: () => Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const running = flights.get(id);
    this.#deps.onUse?.(running ? 'shared' : 'miss');
    if (running) return running;
    const flight = orAbort(start(), signal).finally(() => flights.delete(id));
    flights.set(id, flight);
    return flight;
  }

  #fleetKey(ref: KeyRef, scope: KeyScope): Promise<DataKey | undefined> {
    const { clock, shared, use } = this.#deps;
    return fleetKey(
      {
        clock,
        shared,
        use,
        signal: this.#closing.signal,
        unwrap: (wrapped) => this.unwrap(ref, wrapped, scope),
        generate: () => this.#generate(ref, scope),
        discard: (key) => this.#held.drop(key),
      },
      ref,
      scope,
    );
  }

  #generate(ref: KeyRef, scope: KeyScope): Promise<DataKey> {
    return this.#ask(ref, scope, true, () => this.#deps.kms.generateDataKey(ref, scope));
  }

  #unwrap(ref: KeyRef, wrapped: Buffer, scope: KeyScope): Promise<DataKey> {
    return this.#ask(ref, scope, false, async () => ({
      plaintext: await this.#deps.kms.decrypt(ref, wrapped, scope),
      wrapped,
    }));
  }

  /** A key is held from its first moment, so that a wipe or an end meets it wherever it is. */
  async #ask(owner: KeyRef, scope: KeyScope, isMade: boolean, call: () => Promise<GeneratedKey>): Promise<DataKey> {
    const { clock } = this.#deps;
    // Callers pass whole tenants, which no data key is to keep.
    const ref = keyRef(owner.tenant, owner.keyArn);
    this.#deniedPeriods.refuse(ref, scope);
    const asked = { ref, scope, isWiped: false };
    this.#asked.add(asked);
    try {
      return await this.#watched(ref, scope, async () => {
        const askedAt = readClocks(clock);
        const { plaintext, wrapped } = await call();
        const key = new DataKey(clock, plaintext, ref, wrapped, scope, askedAt);
        if (isMade) this.#made.add(key);
        if (asked.isWiped) key.wipe();
        else this.#held.hold(key);
        return key;
      });
    } finally {
      this.#asked.delete(asked);
    }
  }

  /** Calls KMS. A refusal of the key erases its data keys, and the observer is notified of the result. */
  async #watched<T>(ref: KeyRef, scope: KeyScope, call: () => Promise<T>): Promise<T> {
    const watched = this.#watchOf(scope.purpose).begin(ref);
    try {
      const answer = await call();
      watched.ok();
      return answer;
    } catch (error) {
      if (!(error instanceof SealdexError)) throw error;
      const confirmed = await this.#confirmed(error, ref, scope);
      // A denied period ends its own data keys only.
      const isPeriodDenied = confirmed.code === 'PERIOD_DENIED';
      if (isUnusable(confirmed)) this.#wipe('unusable', ref, isPeriodDenied ? scope.period : undefined);
      throw isPeriodDenied ? confirmed : await watched.failed(confirmed);
    }
  }

  /** A denial of a past period may be the tenant's policy for that slice of time alone. */
  async #confirmed(error: SealdexError, ref: KeyRef, scope: KeyScope): Promise<SealdexError> {
    if (error.code !== 'KEY_DENIED' || !this.#deniedPeriods.isPast(ref, scope)) return error;
    try {
      return await this.#deniedPeriods.confirmDenial(ref, scope);
    } catch (current) {
      return current instanceof SealdexError ? current : error;
    }
  }
}
