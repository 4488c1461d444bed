// Intake operations of the operator: a sweep by hand.
import { sweepIntake, type Orphan } from '../maintenance/intake-sweep.ts';
import type { SweepDeps } from '../maintenance/sweep.ts';
import { SealdexError } from '../runtime/errors.ts';
import { knownFields, type FieldNames } from '../runtime/known-fields.ts';

/** Options of `sweepIntake`. */
export interface IntakeSweepOptions {
  /**
   * Maximum number of objects to delete, instead of the safety limit. Also accepts that the number of jobs with content has more than
   * halved.
   */
  readonly take?: number | undefined;
  /** Only counts. */
  readonly isDry?: boolean;
  /** Ends the sweep between two objects: the call rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Content of a tenant that no job names. */
export interface TenantOrphans {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Number of objects. */
  readonly objects: number;
  /** Size of the objects in bytes. */
  readonly bytes: number;
  /** Time at which the oldest one was stored: Unix time in milliseconds. */
  readonly oldest: number;
}

/** Result of `sweepIntake`. */
export interface IntakeSwept {
  /** Number of objects in intake. */
  readonly seen: number;
  /** Content without a job before the sweep, oldest first. Only content that is older than SEALDEX_INTAKE_SWEEP_MS. */
  readonly tenants: readonly TenantOrphans[];
  /** Number of these objects that may be deleted, because two sweeps a day apart have found them. */
  readonly due: number;
  /** Number of deleted objects. */
  readonly taken: number;
}

export interface IntakeOperator {
  /**
   * Deletes content that no job names, oldest first, as the daily sweep does.
   * @throws SealdexError `CONFIG_INVALID` if this Redis is not the one of the bucket; `STORE_FAILED`, `REDIS_FAILED`
   */
  sweepIntake(options?: IntakeSweepOptions): Promise<IntakeSwept>;
}

const sumOf = (tenant: string, orphans: readonly Orphan[]): TenantOrphans => ({
  tenant,
  objects: orphans.length,
  bytes: orphans.reduce((sum, { bytes }) => sum + bytes, 0),
  oldest: orphans[0]!.modifiedAt,
});

const OPTIONS: FieldNames<IntakeSweepOptions> = { take: true, isDry: true, signal: true };

export const createIntakeOperator = (deps: SweepDeps): IntakeOperator => ({
  async sweepIntake(options = {}) {
    const { take, isDry = false, signal = new AbortController().signal } = knownFields(options, OPTIONS);
    const swept = await sweepIntake(deps, { take, isDry }, signal);
    if (!swept)
      throw new SealdexError(
        'CONFIG_INVALID',
        'REDIS_URL: Redis does not match the bucket, so the jobs of this content may be lost. Check that REDIS_URL names the right server and database. If it does, run sealdex recover first.',
        { field: 'REDIS_URL' },
      );
    const { seen, due, taken, orphans } = swept;
    const tenants = [...Map.groupBy(orphans, ({ place }) => place.tenant)].map(([tenant, own]) => sumOf(tenant, own));
    return { seen, due, taken, tenants: tenants.toSorted((one, other) => one.oldest - other.oldest) };
  },
});
