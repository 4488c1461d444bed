// Data key: 32 bytes that can only be used inside a callback, until they expire by either clock or are erased.
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';

export const PERIOD_MS = 3_600_000;
const MINUTE_MS = 60_000;

const nameOf = (start: number): string => `${new Date(start).toISOString().slice(0, 16)}Z`;

/**
 * Returns the period of a tenant at a given time: 60-minute slots by wall clock, shifted by 0 to 59 minutes by the tenant's name,
 * so that a fleet does not call KMS for all tenants at once. Named by its start, `2026-11-23T17:41Z`.
 */
export function periodAt(tenant: string, now: number): string {
  const shift = (createHash('sha256').update(tenant).digest().readUInt32BE(0) % 60) * MINUTE_MS;
  const start = Math.floor((now - shift) / PERIOD_MS) * PERIOD_MS + shift;
  return nameOf(start);
}

/** Returns the end of a period by wall clock; undefined if the text is not a period. */
export function periodEnd(period: string): number | undefined {
  const start = /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/.test(period) ? Date.parse(period) : Number.NaN;
  // Date.parse accepts February 30 as a day in March.
  return Number.isNaN(start) || nameOf(start) !== period ? undefined : start + PERIOD_MS;
}

export type Purpose = 'documents' | 'intake';

/** Purpose and period of a data key. */
export interface KeyScope {
  readonly period: string;
  readonly purpose: Purpose;
}

/** The map that KMS authenticates and the message header repeats (contract). It is a type so that it can be assigned to a map. */
export type KeyContext = {
  readonly tenant: string;
  readonly period: string;
  readonly purpose: Purpose;
};

/** The encryption context of a data key. Contains only these fields: any other field would change the context. */
export const contextOf = ({ tenant }: KeyRef, { period, purpose }: KeyScope): KeyContext =>
  Object.freeze({ tenant, period, purpose });

/** Start of the KMS request for a key, by both clocks. */
export interface ClockReading {
  readonly wall: number;
  readonly monotonic: number;
}

export const readClocks = (clock: Clock): ClockReading => ({ wall: clock.now(), monotonic: clock.monotonic() });

export class DataKey {
  readonly ref: KeyRef;
  readonly wrapped: Buffer;
  /** Derived from reference and scope; message headers repeat it. */
  readonly context: KeyContext;
  /** Identifies the data key without revealing it: the start of the SHA-256 of the wrapped bytes. */
  readonly id: string;
  readonly askedAt: ClockReading;
  /** Milliseconds from the KMS request to the end of use. */
  readonly lifetimeMs: number;
  readonly #plaintext: Buffer;
  readonly #clock: Clock;
  #isWiped = false;

  /** Takes ownership of `plaintext`: the caller must not keep it. */
  constructor(clock: Clock, plaintext: Buffer, ref: KeyRef, wrapped: Buffer, scope: KeyScope, askedAt: ClockReading) {
    this.#clock = clock;
    this.#plaintext = plaintext;
    this.ref = ref;
    this.wrapped = wrapped;
    this.context = contextOf(ref, scope);
    this.id = createHash('sha256').update(wrapped).digest('hex').slice(0, 16);
    this.askedAt = askedAt;
    // A key of the current period ends with it. A key of a past period is for reading and lasts an hour.
    const end = periodEnd(scope.period);
    this.lifetimeMs = end !== undefined && end > askedAt.wall ? Math.min(end - askedAt.wall, PERIOD_MS) : PERIOD_MS;
  }

  /** ARN of the KMS key, as in message headers. */
  get arn(): string {
    return this.ref.keyArn;
  }

  /** Milliseconds until the end of use, by the clock that is further ahead: setting the wall clock back does not extend it. */
  get leftMs(): number {
    const wall = this.#clock.now() - this.askedAt.wall;
    const monotonic = this.#clock.monotonic() - this.askedAt.monotonic;
    return this.lifetimeMs - Math.max(wall, monotonic);
  }

  get isLive(): boolean {
    return !this.#isWiped && this.leftMs > 0;
  }

  /**
   * Passes the 32 plaintext bytes to `fn`, which must be synchronous and must not keep them: it derives a message key.
   * @throws SealdexError `KMS_FAILED` with reason `KeyExpired` after the end of use: get a new key from the key ring
   */
  use<T>(fn: (plaintext: Uint8Array) => T): T {
    if (!this.isLive) {
      this.wipe();
      throw new SealdexError('KMS_FAILED', 'The data key has expired: ask the key ring for another.', {
        reason: 'KeyExpired',
      });
    }
    return fn(this.#plaintext);
  }

  wipe(): void {
    this.#isWiped = true;
    this.#plaintext.fill(0);
  }

  toJSON(): string {
    return `DataKey ${this.id}`;
  }

  toString(): string {
    return this.toJSON();
  }

  [inspect.custom](): string {
    return this.toJSON();
  }
}
