// Denied periods: a tenant may deny past periods while its key stays usable. Before a denial of a past period counts as a denial
// of the key, a real call with the current period confirms it.
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import { periodAt, type KeyScope, type Purpose } from './data-key.ts';

export interface DeniedPeriodsDeps {
  readonly clock: Clock;
  /** Makes real calls with the current period. @throws SealdexError of KMS */
  readonly tryKey: (key: KeyRef, purpose: Purpose) => Promise<void>;
}

/** Time for which a denied period is not requested again, regardless of the number of documents in it. */
const FRESH_MS = 30_000;
const MAX_ENTRIES = 10_000;

const periodIdOf = ({ tenant, keyArn }: KeyRef, { period }: KeyScope): string =>
  JSON.stringify([keyArn, tenant, period]);

const deniedPeriod = (): SealdexError =>
  new SealdexError('PERIOD_DENIED', undefined, { reason: 'AccessDeniedException' });

export class DeniedPeriods {
  readonly #deps: DeniedPeriodsDeps;
  /** End of the time for which a denied period is not requested again. */
  readonly #denied = new Map<string, number>();

  constructor(deps: DeniedPeriodsDeps) {
    this.#deps = deps;
  }

  isPast({ tenant }: KeyRef, { period }: KeyScope): boolean {
    return period !== periodAt(tenant, this.#deps.clock.now());
  }

  /** @throws SealdexError `PERIOD_DENIED` for a period that was denied in the last 30 s */
  ensureAllowed(key: KeyRef, scope: KeyScope): void {
    if ((this.#denied.get(periodIdOf(key, scope)) ?? 0) > this.#deps.clock.monotonic()) throw deniedPeriod();
  }

  /**
   * Finds the meaning of a denial of a past period. Returns `PERIOD_DENIED` if the key works with the current period; the call is
   * made after the denial, since an earlier result proves nothing.
   * @throws SealdexError of KMS for the current period
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
