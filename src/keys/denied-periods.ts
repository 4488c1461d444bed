// Slices of time: a tenant may deny us periods that are past and go on using its key. A refusal met with such a period is
// therefore checked by a real call with the current one before anybody concludes that the key itself is denied.
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import { periodAt, type KeyScope, type Purpose } from './data-key.ts';

export interface SliceDeps {
  readonly clock: Clock;
  /** Real calls with the current period. @throws SealdexError of KMS */
  readonly tryKey: (key: KeyRef, purpose: Purpose) => Promise<void>;
}

/** How long a denied slice is not asked for again, however many documents are in it. */
const FRESH_MS = 30_000;
const MAX_ENTRIES = 10_000;

const periodIdOf = ({ tenant, keyArn }: KeyRef, { period }: KeyScope): string =>
  JSON.stringify([keyArn, tenant, period]);

const deniedPeriod = (): SealdexError =>
  new SealdexError('PERIOD_DENIED', undefined, { reason: 'AccessDeniedException' });

export class DeniedPeriods {
  readonly #deps: SliceDeps;
  /** Until when a denied slice is not asked for again. */
  readonly #denied = new Map<string, number>();

  constructor(deps: SliceDeps) {
    this.#deps = deps;
  }

  isPast({ tenant }: KeyRef, { period }: KeyScope): boolean {
    return period !== periodAt(tenant, this.#deps.clock.now());
  }

  /** @throws SealdexError `PERIOD_DENIED` for a slice that was denied a moment ago */
  refuse(key: KeyRef, scope: KeyScope): void {
    if ((this.#denied.get(periodIdOf(key, scope)) ?? 0) > this.#deps.clock.monotonic()) throw deniedPeriod();
  }

  /**
   * What a denial of a past period means. Answers `PERIOD_DENIED` when the key works with the current period: asked after
   * the denial, for what was true before it says nothing.
   * @throws SealdexError what KMS said of the current period
   */
  async confirmDenial(key: KeyRef, scope: KeyScope): Promise<SealdexError> {
    const { clock, tryKey } = this.#deps;
    await tryKey(key, scope.purpose);
    this.#denied.delete(periodIdOf(key, scope));
    const [oldest] = this.#denied.keys();
    if (this.#denied.size >= MAX_ENTRIES && oldest !== undefined) this.#denied.delete(oldest);
    this.#denied.set(periodIdOf(key, scope), clock.monotonic() + FRESH_MS);
    return deniedPeriod();
  }
}
