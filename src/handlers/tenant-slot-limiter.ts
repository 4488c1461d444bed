// Slots: how many jobs of a tenant hang on its KMS key or on S3 for long, so that one tenant's slow key leaves slots for others.
// A tenant that is alone and quick may have all of them. Counts; what is waited for, it does not know.
import type { Clock } from '../runtime/clock.ts';

/** Shorter waits are what every job has. */
const LONG_MS = 1000;

/** Of all slots. */
const PART = 0.25;

export class TenantSlots {
  readonly #clock: Clock;
  readonly #most: number;
  /** By tenant: how many steps of its jobs wait for long. */
  readonly #long = new Map<string, number>();

  constructor(clock: Clock, slots: number) {
    this.#clock = clock;
    this.#most = Math.max(1, Math.floor(slots * PART));
  }

  /**
   * A step of a job begins; the answer ends it. With `yields`, it does not wait for long beside as many as may: that is
   * called, and the job has to come later.
   */
  enter(tenant: string, yields?: () => void): () => void {
    let isLong = false;
    const timer = this.#clock.after(LONG_MS, () => {
      if (yields && this.isCrowded(tenant)) return yields();
      isLong = true;
      this.#count(tenant, 1);
    });
    return () => {
      timer.cancel();
      if (isLong) this.#count(tenant, -1);
      isLong = false;
    };
  }

  /** Whether so many jobs of the tenant wait for long that the next one has to come later. */
  isCrowded(tenant: string): boolean {
    return (this.#long.get(tenant) ?? 0) >= this.#most;
  }

  #count(tenant: string, change: 1 | -1): void {
    const long = (this.#long.get(tenant) ?? 0) + change;
    if (long > 0) this.#long.set(tenant, long);
    else this.#long.delete(tenant);
  }
}
