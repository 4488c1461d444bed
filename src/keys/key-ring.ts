// Key ring of a process: the data key that encrypts for a tenant now, and the cached keys for reading. Concurrent uses share one
// KMS call. No lock spans tenants.
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

/** Maximum number of keys that encrypt, and of keys for reading; beyond it, the oldest is erased. */
const MAX_KEYS = 10_000;

export interface KeyRingDeps {
  readonly clock: Clock;
  readonly kms: Kms;
  readonly shared: SharedKeys;
  readonly use: WaitMode;
  readonly watch?: KmsCallObserver;
  /** Called for each use of a key: `hit`: cached; `miss`: requested from KMS or the fleet; `shared`: joined another request. */
  readonly onUse?: (result: 'hit' | 'miss' | 'shared') => void;
  /** Called for each erased key. */
  readonly onWipe?: (reason: WipeReason) => void;
  readonly limits?: UsageLimits;
  readonly maxKeys?: number;
}

export type KeyRingStats = HeldKeysStats;

/**
 * A tenant's data keys under one KMS key. `askedAt`: start of the KMS request for the newest key, by the monotonic clock.
 * `isUnwrapped`: KMS has unwrapped it. Permission to create a key does not prove permission to unwrap it.
 */
export interface HeldUnder extends KeyRef {
  readonly askedAt: number;
  readonly isUnwrapped: boolean;
}

/** A gate may shut in the event loop turn between the arrival of a key and its use. */
const ENCRYPT_TRIES = 3;

const slotOf = ({ tenant, keyArn }: KeyRef, purpose: Purpose): string => `${purpose} ${tenant} ${keyArn}`;

/** The KMS key, or this period of it, is unusable: its data keys must not be used any more. */
const isUnusable = ({ code }: SealdexError): boolean =>
  dispositionOf(code).disposition === 'park' || code === 'PLATFORM_KEY' || code === 'PERIOD_DENIED';

export class KeyRing {
  readonly #deps: KeyRingDeps;
  readonly #held: HeldKeys;
  /** The key that encrypts now, by purpose, tenant and KMS key; garbage collected with its key. */
  readonly #current = new Map<string, DataKey>();
  readonly #usage: KeyUsage;
  /** Keys that KMS created for this process and has not unwrapped. */
  readonly #created = new WeakSet<DataKey>();
  /** KMS calls in progress: erasing also covers their keys. */
  readonly #requests = new Set<{ readonly ref: KeyRef; readonly scope: KeyScope; isWiped: boolean }>();
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

  /** Whether `current` needs no request to KMS or the fleet for the data key of now. */
  isCached(ref: KeyRef, purpose: Purpose): boolean {
    const key = this.#current.get(slotOf(ref, purpose));
    return key !== undefined && key.isLive && key.context.period === periodAt(ref.tenant, this.#deps.clock.now());
  }

  /**
   * Returns the data key that encrypts for a tenant under a KMS key now; `bytes` is the size of the content to encrypt.
   * @throws SealdexError of KMS or Redis; errors are not cached
   */
  async current(ref: KeyRef, purpose: Purpose, bytes: number): Promise<DataKey> {
    const slot = slotOf(ref, purpose);
    for (;;) {
      const period = periodAt(ref.tenant, this.#deps.clock.now());
      const key = this.#current.get(slot);
      const isOfNow = key !== undefined && key.isLive && key.context.period === period;
      const refreshing = isOfNow ? this.#watchOf(purpose).refresh() : undefined;
      if (refreshing) await refreshing;
      else if (isOfNow && this.#usage.count(key.id, bytes)) {
        this.#deps.onUse?.('hit');
        return key;
      } else
        await this.#single(this.#renewing, `${slot} ${period}`, async () => {
          const scope = { period, purpose };
          const renewed = isOfNow ? await this.#generate(ref, scope) : await this.#fleetKey(ref, scope);
          // A key that was erased or expired meanwhile is not used: each waiter requests a new one.
          if (!renewed?.isLive) return;
          this.#held.encryptsNow(renewed);
          this.#current.set(slot, renewed);
        });
    }
  }

  /**
   * Passes the current key to `fn`, which must be synchronous. Retries with another key if that one was erased meanwhile.
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
   * Returns the data key of a message, for reading.
   * @throws SealdexError `OBJECT_TAMPERED` if the wrapped bytes do not belong to this KMS key and scope; other errors of KMS
   */
  async unwrap(ref: KeyRef, wrapped: Uint8Array, scope: KeyScope): Promise<DataKey> {
    const id = idOf(ref, wrapped, scope);
    for (;;) {
      const known = this.#held.find(id);
      const refreshing = known && this.#watchOf(scope.purpose).refresh();
      if (refreshing) await refreshing;
      else if (known) {
        this.#deps.onUse?.('hit');
        return known;
      } else {
        const key = await this.#single(this.#unwrapping, id, () => this.#unwrap(ref, Buffer.from(wrapped), scope));
        if (key.isLive) return key;
      }
    }
  }

  /**
   * Erases a tenant's data keys under a KMS key when its gate shuts, including those being requested. Returns the number that
   * were held.
   */
  wipe(ref: KeyRef): number {
    return this.#wipe('shut', ref);
  }

  /** Erases the keys of one period, or of all periods if it is undefined. */
  #wipe(reason: WipeReason, ref: KeyRef, period?: string): number {
    const isOf = (one: KeyRef, scope: KeyScope): boolean =>
      isSameKey(one, ref) && (period === undefined || scope.period === period);
    for (const request of this.#requests) request.isWiped ||= isOf(request.ref, request.scope);
    return this.#held.wipe(reason, (key) => isOf(key.ref, key.context));
  }

  /** Tenants and KMS keys for which a data key for documents is held. */
  heldUnder(): HeldUnder[] {
    return this.#held.newest().map((key) => ({
      ...key.ref,
      askedAt: key.askedAt.monotonic,
      isUnwrapped: !this.#created.has(key),
    }));
  }

  /**
   * Has KMS unwrap the newest data key of a tenant and KMS key again. Returns false, without a KMS call, if none is held. If KMS
   * denies it, the gate shuts and the keys are erased. @throws SealdexError of KMS
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

  /** Erases all keys, including later ones. Waiters get an error. May be called twice. */
  close(): void {
    this.#closing.abort(new SealdexError('KMS_FAILED', 'The key ring is closed.', { reason: 'Closed' }));
    this.#held.close();
  }

  /** Content waits under the platform key because a gate is shut, so those calls are not observed. */
  #watchOf(purpose: Purpose): KmsCallObserver {
    return purpose === 'documents' ? (this.#deps.watch ?? NO_OBSERVER) : NO_OBSERVER;
  }

  /** Shares one request per id. Its failure reaches all current waiters; later callers start a new one. */
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
    return this.#request(ref, scope, true, () => this.#deps.kms.generateDataKey(ref, scope));
  }

  #unwrap(ref: KeyRef, wrapped: Buffer, scope: KeyScope): Promise<DataKey> {
    return this.#request(ref, scope, false, async () => ({
      plaintext: await this.#deps.kms.decrypt(ref, wrapped, scope),
      wrapped,
    }));
  }

  /** Holds the key as soon as it arrives, so that erasing and closing always cover it. */
  async #request(
    owner: KeyRef,
    scope: KeyScope,
    isCreated: boolean,
    call: () => Promise<GeneratedKey>,
  ): Promise<DataKey> {
    const { clock } = this.#deps;
    // Callers pass whole tenants, which a data key must not retain.
    const ref = keyRef(owner.tenant, owner.keyArn);
    this.#deniedPeriods.ensureAllowed(ref, scope);
    const request = { ref, scope, isWiped: false };
    this.#requests.add(request);
    try {
      return await this.#watched(ref, scope, async () => {
        const askedAt = readClocks(clock);
        const { plaintext, wrapped } = await call();
        const key = new DataKey(clock, plaintext, ref, wrapped, scope, askedAt);
        if (isCreated) this.#created.add(key);
        if (request.isWiped) key.wipe();
        else this.#held.hold(key);
        return key;
      });
    } finally {
      this.#requests.delete(request);
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

  /** A denial of a past period may come from a policy for that period alone. */
  async #confirmed(error: SealdexError, ref: KeyRef, scope: KeyScope): Promise<SealdexError> {
    if (error.code !== 'KEY_DENIED' || !this.#deniedPeriods.isPast(ref, scope)) return error;
    try {
      return await this.#deniedPeriods.confirmDenial(ref, scope);
    } catch (current) {
      return current instanceof SealdexError ? current : error;
    }
  }
}
