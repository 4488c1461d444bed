// Plaintext data keys of a process: bounded, indexed by KMS key, context and wrapped bytes, and each erased by a timer at its end
// of use.
import { createHash } from 'node:crypto';
import { gateId, type KeyRef } from '../runtime/key-ref.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { DataKey, KeyScope } from './data-key.ts';

export interface HeldKeysStats {
  readonly keys: number;
  /** Whole milliseconds since the KMS request of the oldest key. */
  readonly oldestMs: number;
  readonly tenants: readonly string[];
}

/** Identifies a key: the same wrapped bytes with another context are another key, which KMS rejects. */
export function idOf({ tenant, keyArn }: KeyRef, wrapped: Uint8Array, { period, purpose }: KeyScope): string {
  return createHash('sha256')
    .update(JSON.stringify([keyArn, tenant, period, purpose]))
    .update(wrapped)
    .digest('base64');
}

/** `room`: evicted for a newer key; `lost`: replaced by another process's key of the same period. */
export type WipeReason = 'expired' | 'unusable' | 'shut' | 'room' | 'lost' | 'closed';

interface Held {
  readonly key: DataKey;
  timer: Timer;
}

/** Timers follow the monotonic clock. The wall clock may pass a key's end earlier, so the end is checked at this interval. */
const RECHECK_MS = 60_000;

export class HeldKeys {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #dropped: (key: DataKey, reason: WipeReason) => void;
  /** Both in insertion order. Reading never evicts keys that encrypt. */
  readonly #encrypting = new Map<string, Held>();
  readonly #reading = new Map<string, Held>();
  #isClosed = false;

  /** Holds at most `most` keys that encrypt and as many that read. `dropped` is called after each key is erased. */
  constructor(clock: Clock, most: number, dropped: (key: DataKey, reason: WipeReason) => void) {
    this.#clock = clock;
    this.#most = most;
    this.#dropped = dropped;
  }

  /** A live key, or undefined. */
  find(id: string): DataKey | undefined {
    const key = (this.#encrypting.get(id) ?? this.#reading.get(id))?.key;
    return key?.isLive ? key : undefined;
  }

  /** Erases the key at its end of use, even if the requester has gone; immediately if the ring is closed. */
  hold(key: DataKey): void {
    if (this.#isClosed) return key.wipe();
    const id = idOf(key.ref, key.wrapped, key.context);
    this.#drop(id, 'room');
    this.#makeRoom(this.#reading);
    this.#reading.set(id, { key, timer: this.#timer(id, key) });
  }

  /** Marks the key as one that encrypts. */
  encryptsNow(key: DataKey): void {
    const id = idOf(key.ref, key.wrapped, key.context);
    const held = this.#reading.get(id);
    if (held?.key !== key) return;
    this.#reading.delete(id);
    this.#makeRoom(this.#encrypting);
    this.#encrypting.set(id, held);
  }

  drop(key: DataKey): void {
    this.#drop(idOf(key.ref, key.wrapped, key.context), 'lost');
    key.wipe();
  }

  /** Erases every key that matches. Returns the number. */
  wipe(reason: WipeReason, matches: (key: DataKey) => boolean): number {
    let wiped = 0;
    for (const shelf of [this.#encrypting, this.#reading]) {
      for (const [id, { key }] of shelf) {
        if (!matches(key)) continue;
        this.#drop(id, reason);
        wiped += 1;
      }
    }
    return wiped;
  }

  /** Live keys for documents, the newest period of each tenant and KMS key. */
  newest(): DataKey[] {
    const newest = new Map<string, DataKey>();
    for (const shelf of [this.#reading, this.#encrypting]) {
      for (const { key } of shelf.values()) {
        if (key.context.purpose !== 'documents' || !key.isLive) continue;
        const id = gateId(key.ref);
        const other = newest.get(id);
        if (!other || other.context.period <= key.context.period) newest.set(id, key);
      }
    }
    return [...newest.values()];
  }

  /** Erases all keys, and later ones immediately. May be called twice. */
  close(): void {
    this.#isClosed = true;
    this.wipe('closed', () => true);
  }

  stats(): HeldKeysStats {
    const now = this.#clock.monotonic();
    const tenants = new Set<string>();
    let oldestMs = 0;
    for (const shelf of [this.#encrypting, this.#reading]) {
      for (const { key } of shelf.values()) {
        tenants.add(key.ref.tenant);
        oldestMs = Math.max(oldestMs, now - key.askedAt.monotonic);
      }
    }
    return { keys: this.#encrypting.size + this.#reading.size, oldestMs: Math.round(oldestMs), tenants: [...tenants] };
  }

  #makeRoom(shelf: Map<string, Held>): void {
    const [oldest] = shelf.keys();
    if (shelf.size >= this.#most && oldest !== undefined) this.#drop(oldest, 'room');
  }

  #timer(id: string, key: DataKey): Timer {
    return this.#clock.after(Math.min(Math.max(0, key.leftMs), RECHECK_MS), () => {
      const held = this.#encrypting.get(id) ?? this.#reading.get(id);
      if (held?.key !== key) return;
      if (key.isLive) held.timer = this.#timer(id, key);
      else this.#drop(id, 'expired');
    });
  }

  #drop(id: string, reason: WipeReason): void {
    for (const shelf of [this.#encrypting, this.#reading]) {
      const held = shelf.get(id);
      if (!held) continue;
      shelf.delete(id);
      held.timer.cancel();
      held.key.wipe();
      this.#dropped(held.key, reason);
    }
  }
}
