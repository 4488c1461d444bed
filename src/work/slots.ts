// Slots: how many jobs of a tenant hang on its KMS key or on S3 for long, so that one tenant's slow key leaves slots for others.
// A tenant that is alone and quick may have all of them. Counts; what is waited for, it does not know.
import type { Clock } from '../clock.ts';

/** Shorter waits are what every job has. */
const LONG_MS = 1000;

/** Of all slots. */
const PART = 0.25;

export class TenantSlots {
  readonly #clock: Clock;
  readonly #most: number;
  /** By tenant: since when each step of a job of it runs. */
  readonly #steps = new Map<string, Set<{ readonly since: number }>>();

  constructor(clock: Clock, slots: number) {
    this.#clock = clock;
    this.#most = Math.max(1, Math.floor(slots * PART));
  }

  /** A step of a job begins; the answer ends it. */
  enter(tenant: string): () => void {
    const steps = this.#steps.get(tenant) ?? new Set();
    this.#steps.set(tenant, steps);
    const step = { since: this.#clock.monotonic() };
    steps.add(step);
    return () => {
      steps.delete(step);
      if (steps.size === 0 && this.#steps.get(tenant) === steps) this.#steps.delete(tenant);
    };
  }

  /** Whether so many jobs of the tenant wait for long that the next one has to come later. */
  isCrowded(tenant: string): boolean {
    const steps = this.#steps.get(tenant);
    if (!steps || steps.size < this.#most) return false;
    const now = this.#clock.monotonic();
    let long = 0;
    for (const { since } of steps) if (now - since >= LONG_MS) long += 1;
    return long >= this.#most;
  }
}
