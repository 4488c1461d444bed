// Slices of time: a tenant may deny us periods that are past and go on using its key. A refusal met with such a period is
// therefore checked by a real call with the current one before anybody concludes that the key itself is denied.
import type { Clock } from '../clock.ts';
import { SealdexError } from '../errors.ts';
import { periodAt, type KeyContext } from './data-key.ts';

export interface SliceDeps {
  readonly clock: Clock;
  /** Real calls with the current period. @throws SealdexError of KMS */
  readonly tryKey: (keyArn: string, context: KeyContext) => Promise<void>;
}

/** How long an answer of KMS is taken for still true. */
const FRESH_MS = 30_000;
const MOST_KEPT = 10_000;

export class Slices {
  readonly #deps: SliceDeps;
  /** Until when a denied slice is not asked for again, and a key counts as working. */
  readonly #denied = new Map<string, number>();
  readonly #working = new Map<string, number>();
  readonly #trying = new Map<string, Promise<void>>();

  constructor(deps: SliceDeps) {
    this.#deps = deps;
  }

  isPast({ tenant, period }: KeyContext): boolean {
    return period !== periodAt(tenant, this.#deps.clock.now());
  }

  /** @throws SealdexError `PERIOD_DENIED` for a slice that was denied a moment ago */
  refuse(keyArn: string, context: KeyContext): void {
    if (this.#isFresh(this.#denied, sliceOf(keyArn, context))) throw deniedPeriod();
  }

  /**
   * What a denial of a past period means. Answers `PERIOD_DENIED` when the key works with the current period.
   * @throws SealdexError what KMS said of the current period
   */
  async verdict(keyArn: string, context: KeyContext): Promise<SealdexError> {
    const { clock, tryKey } = this.#deps;
    const { tenant, purpose } = context;
    const key = JSON.stringify([keyArn, tenant]);
    if (!this.#isFresh(this.#working, key)) {
      const period = periodAt(tenant, clock.now());
      const trying = this.#trying.get(key) ?? tryKey(keyArn, { tenant, period, purpose });
      this.#trying.set(key, trying);
      await trying.finally(() => this.#trying.delete(key));
      this.#remember(this.#working, key);
    }
    this.#remember(this.#denied, sliceOf(keyArn, context));
    return deniedPeriod();
  }

  #isFresh(until: ReadonlyMap<string, number>, key: string): boolean {
    return (until.get(key) ?? 0) > this.#deps.clock.monotonic();
  }

  #remember(until: Map<string, number>, key: string): void {
    until.delete(key);
    const [oldest] = until.keys();
    if (until.size >= MOST_KEPT && oldest !== undefined) until.delete(oldest);
    until.set(key, this.#deps.clock.monotonic() + FRESH_MS);
  }
}

const sliceOf = (keyArn: string, { tenant, period }: KeyContext): string => JSON.stringify([keyArn, tenant, period]);

const deniedPeriod = (): SealdexError =>
  new SealdexError('PERIOD_DENIED', undefined, { reason: 'AccessDeniedException' });
