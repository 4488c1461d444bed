// The key ring of a process: which data key encrypts for a tenant now, and which unwrapped keys are at hand for reading.
// One KMS call for any number of uses at once, never a lock over tenants, nothing kept past its time.
import { createHash } from 'node:crypto';
import { sleep, type Clock, type Timer } from '../clock.ts';
import { dispositionOf, SealdexError } from '../errors.ts';
import { DataKey, momentOf, periodAt } from './data-key.ts';
import { isWrongWrapping } from './faults.ts';
import type { KeyContext, Kms } from './kms.ts';
import { parseEntry, type SharedKeys } from './shared-keys.ts';

/** AES-GCM with random message ids: what one data key may encrypt in one process. */
export interface UsageLimits {
  readonly messages: number;
  readonly bytes: number;
}

const LIMITS: UsageLimits = { messages: 2 ** 32, bytes: 2 ** 40 };

/** Unwrapped keys kept for reading; beyond, the oldest is wiped. */
const MAX_KEYS = 10_000;

/** How long a first use waits for other processes before it gives up. */
const WAIT_MS = { patient: 20_000, prompt: 950 };
const POLL_MS = 50;

export interface KeyRingDeps {
  readonly clock: Clock;
  readonly kms: Kms;
  readonly shared: SharedKeys;
  readonly use: 'patient' | 'prompt';
  readonly limits?: UsageLimits;
}

export interface KeyRingStats {
  readonly keys: number;
  /** Milliseconds since the KMS request of the oldest key. */
  readonly oldestMs: number;
  readonly tenants: readonly string[];
}

interface Current {
  readonly key: DataKey;
  messages: number;
  bytes: number;
}

export class KeyRing {
  readonly #deps: KeyRingDeps;
  readonly #limits: UsageLimits;
  /** Live keys by KMS key, context and wrapped bytes, in the order of their age, with the timer that wipes them. */
  readonly #keys = new Map<string, { key: DataKey; timer: Timer }>();
  readonly #unwrapping = new Map<string, Promise<DataKey>>();
  /** The key that encrypts now, by purpose, tenant and KMS key. */
  readonly #current = new Map<string, Current>();
  readonly #acquiring = new Map<string, Promise<void>>();
  readonly #slots = new WeakMap<DataKey, string>();
  readonly #closing = new AbortController();

  constructor(deps: KeyRingDeps) {
    this.#deps = deps;
    this.#limits = deps.limits ?? LIMITS;
  }

  /**
   * The data key that encrypts for a tenant under a KMS key now; `bytes` is how much the caller is about to encrypt.
   * @throws SealdexError of KMS or Redis; nothing is cached then, the next call asks again.
   */
  async current(tenant: string, arn: string, purpose: KeyContext['purpose'], bytes: number): Promise<DataKey> {
    for (;;) {
      const context: KeyContext = { tenant, period: periodAt(tenant, this.#deps.clock.now()), purpose };
      const slot = `${purpose} ${tenant} ${arn}`;
      const current = this.#current.get(slot);
      if (current && current.key.isLive && current.key.context.period === context.period) {
        if (this.#count(current, bytes)) return current.key;
        await this.#single(`${slot} ${context.period}`, slot, () => this.#makeOwn(arn, context));
      } else {
        await this.#single(`${slot} ${context.period}`, slot, () => this.#acquire(arn, context));
      }
    }
  }

  /**
   * The data key that a message names, for reading it.
   * @throws SealdexError `CONTENT_TAMPERED` when the wrapped bytes do not belong to this KMS key and context; others of KMS.
   */
  async unwrap(arn: string, wrapped: Uint8Array, context: KeyContext): Promise<DataKey> {
    const id = idOf(arn, wrapped, context);
    const known = this.#keys.get(id)?.key;
    if (known?.isLive) return known;
    const running = this.#unwrapping.get(id);
    if (running) return running;
    const flight = this.#unwrap(id, arn, Buffer.from(wrapped), context).finally(() => this.#unwrapping.delete(id));
    this.#unwrapping.set(id, flight);
    return flight;
  }

  /** Wipes every key that matches. Returns how many. */
  wipe(matches: (key: { readonly arn: string; readonly tenant: string }) => boolean): number {
    let wiped = 0;
    for (const [id, { key }] of this.#keys) {
      if (!matches({ arn: key.arn, tenant: key.context.tenant })) continue;
      this.#drop(id);
      wiped += 1;
    }
    return wiped;
  }

  stats(): KeyRingStats {
    const now = this.#deps.clock.monotonic();
    const live = [...this.#keys.values()].map(({ key }) => key);
    return {
      keys: live.length,
      oldestMs: live.reduce((oldest, key) => Math.max(oldest, now - key.askedAt.monotonic), 0),
      tenants: [...new Set(live.map((key) => key.context.tenant))],
    };
  }

  /** Wipes everything, now and whatever is still on its way. May be called twice. */
  close(): void {
    this.#closing.abort(new SealdexError('KMS_FAILED', 'The key ring is closed.', { reason: 'Closed' }));
    this.wipe(() => true);
  }

  #count(current: Current, bytes: number): boolean {
    const isOver = current.messages + 1 > this.#limits.messages || current.bytes + bytes > this.#limits.bytes;
    if (isOver && current.messages > 0) return false;
    current.messages += 1;
    current.bytes += bytes;
    return true;
  }

  /** One flight per slot and period; its failure is everybody's who waits, and nobody's who comes later. */
  #single(id: string, slot: string, make: () => Promise<Current>): Promise<void> {
    const running = this.#acquiring.get(id);
    if (running) return running;
    const flight = make()
      .then((made) => {
        this.#slots.set(made.key, slot);
        this.#current.set(slot, made);
      })
      .finally(() => this.#acquiring.delete(id));
    this.#acquiring.set(id, flight);
    return flight;
  }

  /** The fleet's key: unwraps the entry in Redis, or claims the making of it, or waits for who has the claim. */
  async #acquire(arn: string, context: KeyContext): Promise<Current> {
    const { clock, shared, use } = this.#deps;
    const giveUpAt = clock.monotonic() + WAIT_MS[use];
    let bad = '';
    for (;;) {
      const entry = await shared.read(arn, context);
      const key = entry === bad ? undefined : await this.#unwrapEntry(entry, arn, context);
      if (key) return { key, messages: 0, bytes: 0 };
      bad = entry;
      const token = await shared.claim(arn, context);
      if (token !== undefined) {
        const made = await this.#make(entry, token, arn, context);
        if (made) return { key: made, messages: 0, bytes: 0 };
      } else {
        if (clock.monotonic() >= giveUpAt) throw new SealdexError('KMS_FAILED', undefined, { reason: 'ClaimWait' });
        await sleep(clock, POLL_MS, this.#closing.signal);
      }
    }
  }

  /** undefined: no entry, or one that must be replaced. */
  async #unwrapEntry(entry: string, arn: string, context: KeyContext): Promise<DataKey | undefined> {
    const wrapped = entry === '' ? undefined : parseEntry(entry, arn);
    if (!wrapped) return undefined;
    try {
      return await this.unwrap(arn, wrapped, context);
    } catch (error) {
      if (isWrongWrapping(error)) return undefined;
      throw error;
    }
  }

  /** Makes the fleet's key under the claim; undefined when another process's key stands there by now. */
  async #make(seen: string, token: string, arn: string, context: KeyContext): Promise<DataKey | undefined> {
    const { shared } = this.#deps;
    try {
      // Between our look and our claim the last claimer may have finished.
      if ((await shared.read(arn, context)) !== seen) return undefined;
      const key = await this.#generate(arn, context);
      const standing = parseEntry(await shared.put(arn, context, seen, key.wrapped, token), arn);
      if (standing?.equals(key.wrapped)) return this.#keep(key);
      key.wipe();
      return undefined;
    } finally {
      await shared.free(arn, context, token).catch(() => {});
    }
  }

  /** A key of this process alone, when the shared one has reached its limits. */
  async #makeOwn(arn: string, context: KeyContext): Promise<Current> {
    return { key: this.#keep(await this.#generate(arn, context)), messages: 0, bytes: 0 };
  }

  async #generate(arn: string, context: KeyContext): Promise<DataKey> {
    const { clock, kms } = this.#deps;
    const askedAt = momentOf(clock);
    const { plaintext, wrapped } = await this.#watched(arn, context, kms.generateDataKey(arn, context));
    return new DataKey(clock, plaintext, arn, wrapped, context, askedAt);
  }

  async #unwrap(id: string, arn: string, wrapped: Buffer, context: KeyContext): Promise<DataKey> {
    const { clock, kms } = this.#deps;
    const askedAt = momentOf(clock);
    const plaintext = await this.#watched(arn, context, kms.decrypt(arn, wrapped, context));
    return this.#keep(new DataKey(clock, plaintext, arn, wrapped, context, askedAt), id);
  }

  /** A refusal says that the KMS key is unusable: then no data key of it may be used on. */
  async #watched<T>(arn: string, { tenant }: KeyContext, call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      if (error instanceof SealdexError && dispositionOf(error.code).disposition === 'park')
        this.wipe((key) => key.arn === arn && key.tenant === tenant);
      throw error;
    }
  }

  #keep(key: DataKey, id = idOf(key.arn, key.wrapped, key.context)): DataKey {
    const { clock } = this.#deps;
    if (this.#closing.signal.aborted) {
      key.wipe();
      throw this.#closing.signal.reason;
    }
    this.#drop(id);
    if (this.#keys.size >= MAX_KEYS) this.#drop(this.#keys.keys().next().value!);
    const leftMs = key.askedAt.monotonic + key.lifetimeMs - clock.monotonic();
    this.#keys.set(id, { key, timer: clock.after(leftMs, () => this.#drop(id)) });
    return key;
  }

  #drop(id: string): void {
    const kept = this.#keys.get(id);
    if (!kept) return;
    this.#keys.delete(id);
    kept.timer.cancel();
    kept.key.wipe();
    const slot = this.#slots.get(kept.key);
    if (slot !== undefined && this.#current.get(slot)?.key === kept.key) this.#current.delete(slot);
  }
}

function idOf(arn: string, wrapped: Uint8Array, { tenant, period, purpose }: KeyContext): string {
  return createHash('sha256')
    .update(JSON.stringify([arn, tenant, period, purpose]))
    .update(wrapped)
    .digest('base64');
}
