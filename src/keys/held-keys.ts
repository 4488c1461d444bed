// The plaintext data keys that a process holds: bounded, found by KMS key, context and wrapped bytes, and each wiped
// by a timer when its time is over. Where they come from and what they encrypt, it does not know.
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

/** Which key it is to whom: the same wrapped bytes under another context are another key, one that KMS will refuse. */
export function idOf({ tenant, keyArn }: KeyRef, wrapped: Uint8Array, { period, purpose }: KeyScope): string {
  return createHash('sha256')
    .update(JSON.stringify([keyArn, tenant, period, purpose]))
    .update(wrapped)
    .digest('base64');
}

/** `room`: for a newer key; `lost`: against another process's key of the same period. */
export type WipeReason = 'expired' | 'unusable' | 'shut' | 'room' | 'lost' | 'closed';

interface Held {
  readonly key: DataKey;
  timer: Timer;
}

/** Timers follow the monotonic clock: the wall clock may have passed a key's end before, so it is looked at this often. */
const RECHECK_MS = 60_000;

export class HeldKeys {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #dropped: (key: DataKey, reason: WipeReason) => void;
  /** Both in the order in which they came; reading, however much, never takes the place of keys that encrypt. */
  readonly #encrypting = new Map<string, Held>();
  readonly #reading = new Map<string, Held>();
  #isClosed = false;

  /** Holds at most `most` keys that encrypt and as many that read. `dropped` hears of each key after its wipe. */
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

  /** From now on the key is wiped in time, whatever becomes of who asked for it; at once, when all is closed. */
  hold(key: DataKey): void {
    if (this.#isClosed) return key.wipe();
    const id = idOf(key.ref, key.wrapped, key.context);
    this.#drop(id, 'room');
    this.#makeRoom(this.#reading);
    this.#reading.set(id, { key, timer: this.#timer(id, key) });
  }

  /** Says that the key encrypts from now on. */
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

  /** Wipes every key that matches. Returns how many. */
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

  /** Wipes all, and what comes later at once. May be called twice. */
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
