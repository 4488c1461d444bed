// What the handlers of all kinds of jobs work with; the composition root makes it. Types only.
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { SealdexError } from '../runtime/errors.ts';
import type { ExtractPool } from '../extract/pool.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Gates } from '../parking/gate.ts';
import type { Reencryption } from '../reencryption/reencryption.ts';
import type { Store } from '../store/store.ts';
import type { Tenants } from '../tenants/tenants.ts';
import type { ByteBudget } from './budget.ts';
import type { Canary } from './outcome.ts';
import type { BackgroundGate } from './background-gate.ts';
import type { TenantSlotLimiter } from './tenant-slot-limiter.ts';
import type { AdaptiveConcurrency } from './adaptive-concurrency.ts';

export interface WorkDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
  readonly gates: Pick<Gates, 'refusal' | 'get'>;
  /** Called with each error of a tenant's job, so that a job which meets an operator stop is parked at a gate that is shut. */
  readonly enforceOperatorStop: (tenant: string, error: SealdexError) => Promise<void>;
  /** Read files. */
  readonly extractors: Pick<ExtractPool, 'extract'>;
  /** The passes over a tenant's objects that move them to its current KMS key. */
  readonly reencryption: Pick<Reencryption, 'passOf' | 'turn'>;
  readonly budget: ByteBudget;
  readonly canary: Canary;
  readonly slots: TenantSlotLimiter;
  /** Of the jobs of this queue in this process. */
  readonly backgroundGate: BackgroundGate;
  /** Of objects that are re-encrypted at once. */
  readonly reencryptionConcurrency: AdaptiveConcurrency;
}
