// Tenant slot limiter: bounds the slots of a worker that one tenant's slow KMS or S3 requests can hold.
// A tenant whose requests are quick may have all slots.
import type { Clock } from '../runtime/clock.ts';

/** Normal waits of a job are shorter. */
const SLOW_MS = 1000;

/** Of all slots. */
const MAX_SHARE = 0.25;

export class TenantSlotLimiter {
  readonly #clock: Clock;
  readonly #maxSlow: number;
  /** By tenant: how many steps of its jobs are slow. */
  readonly #slow = new Map<string, number>();

  constructor(clock: Clock, slots: number) {
    this.#clock = clock;
    this.#maxSlow = Math.max(1, Math.floor(slots * MAX_SHARE));
  }

  /**
   * Starts a step of a job; call the result when it ends. If the step becomes slow while the tenant has its share of slow
   * steps, it is not counted, but `onOverShare` is called, and the job must be deferred.
   */
  acquire(tenant: string, onOverShare?: () => void): () => void {
    let isSlow = false;
    const timer = this.#clock.after(SLOW_MS, () => {
      if (onOverShare && this.isOverShare(tenant)) return onOverShare();
      isSlow = true;
      this.#count(tenant, 1);
    });
    return () => {
      timer.cancel();
      if (isSlow) this.#count(tenant, -1);
      isSlow = false;
    };
  }

  /** Whether the tenant has its share of slow steps, so that its next job must be deferred. */
  isOverShare(tenant: string): boolean {
    return (this.#slow.get(tenant) ?? 0) >= this.#maxSlow;
  }

  #count(tenant: string, change: 1 | -1): void {
    const slow = (this.#slow.get(tenant) ?? 0) + change;
    if (slow > 0) this.#slow.set(tenant, slow);
    else this.#slow.delete(tenant);
  }
}
