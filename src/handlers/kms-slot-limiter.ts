// KMS slot limiter: while KMS is slow, bounds the slots of a worker that jobs without a cached data key hold, over all tenants.
// The other slots are left to tenants whose key is cached. While KMS is quick, such jobs may have all slots.
import type { Clock } from '../runtime/clock.ts';

/** Normal KMS calls are shorter, with their retry. */
const SLOW_MS = 1000;
/** KMS counts as slow for this time after a wait became slow: longer than the deadline of a call. */
const SLOW_FOR_MS = 10_000;
/** Of all slots. */
const MAX_SHARE = 0.5;
/** Deferred jobs return one after the other, at most 25 a second, so that they do not keep the worker busy (bench/throttled.ts). */
const RETURN_INTERVAL_MS = 40;
const MIN_RETURN_MS = 1000;
const MAX_RETURN_MS = 60_000;

/** The slot of a job without a cached data key. It counts from the start of the job until its first wait ends, and in further waits. */
export interface KmsSlot {
  /**
   * Starts a wait for KMS; call the result when it ends. If the wait becomes slow while other jobs have the share of slow waits,
   * `onOverShare` is called, and the job must be deferred.
   */
  wait(onOverShare: () => void): () => void;
  /** Call when the job ends. */
  leave(): void;
}

export class KmsSlotLimiter {
  readonly #clock: Clock;
  readonly #max: number;
  /** Jobs that count, and those of them whose wait is slow. */
  #waiting = 0;
  #slow = 0;
  /** By the monotonic clock. */
  #slowUntil = Number.NEGATIVE_INFINITY;
  #lastReturn = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, slots: number) {
    this.#clock = clock;
    this.#max = Math.max(1, Math.floor(slots * MAX_SHARE));
  }

  /** Starts a job without a cached data key. Returns undefined if the job must be deferred. */
  enter(): KmsSlot | undefined {
    const isKmsSlow = this.#slow > 0 || this.#clock.monotonic() < this.#slowUntil;
    if (isKmsSlow && this.#waiting >= this.#max) return undefined;
    let waits = 0;
    let isCounted = true;
    let isSlow = false;
    this.#waiting += 1;
    const leave = (): void => {
      if (!isCounted || waits > 0) return;
      isCounted = false;
      this.#waiting -= 1;
      if (isSlow) this.#slow -= 1;
      isSlow = false;
    };
    const onSlow = (onOverShare: () => void): void => {
      this.#slowUntil = this.#clock.monotonic() + SLOW_FOR_MS;
      if (isSlow) return;
      if (this.#slow >= this.#max) return onOverShare();
      isSlow = true;
      this.#slow += 1;
    };
    return {
      wait: (onOverShare) => {
        waits += 1;
        if (!isCounted) this.#waiting += 1;
        isCounted = true;
        const timer = this.#clock.after(SLOW_MS, () => onSlow(onOverShare));
        return () => {
          timer.cancel();
          waits -= 1;
          leave();
        };
      },
      leave,
    };
  }

  /** Delay of a job that is deferred now, in milliseconds: after that of the job before it. */
  returnMs(): number {
    const now = this.#clock.monotonic();
    const next = Math.max(this.#lastReturn + RETURN_INTERVAL_MS, now + MIN_RETURN_MS);
    this.#lastReturn = Math.min(next, now + MAX_RETURN_MS);
    return this.#lastReturn - now;
  }
}
