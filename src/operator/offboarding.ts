// Offboarding operations of the operator: export and deletion of a tenant.
import {
  countTenant,
  deleteTenant,
  type DeleteDeps,
  type DeleteOptions,
  type DeletionResult,
} from '../offboarding/delete.ts';
import { exportTenant, type Exported, type ExportOptions } from '../offboarding/export.ts';
import type { Config } from '../runtime/config.ts';

export type { DeleteOptions, DeletionResult, Exported, ExportOptions };
export type { Counts, UnlistableKind } from '../offboarding/object-counts.ts';
export type { Waiting } from '../offboarding/export-note.ts';
export type { DeletionStep } from '../offboarding/delete.ts';

export interface OffboardingDeps extends DeleteDeps {
  readonly config: Config;
  /** The caller's AWS identity. */
  readonly identity: () => Promise<string>;
}

export interface OffboardingOperator {
  /**
   * Writes all objects of the tenant into a folder, encrypted as they are, with instructions to decrypt them. Needs no KMS key.
   * An interrupted export is continued by another call. @throws SealdexError `TENANT_UNKNOWN`, `STORE_FAILED`, `DOCUMENT_INVALID` with field `dir` for a folder
   * with other things in it or that another export writes into; Node's own errors about files
   */
  exportTenant(tenant: string, dir: string, options?: ExportOptions): Promise<Exported>;
  /** Counts what `deleteTenant` would delete. @throws SealdexError `TENANT_UNKNOWN`, `STORE_FAILED`, `REDIS_FAILED` */
  countTenant(tenant: string, signal?: AbortSignal): Promise<DeletionResult>;
  /**
   * Deletes the tenant and all its data permanently, which takes at least 17 minutes. An interrupted deletion is continued by
   * another call.
   * @throws SealdexError `TENANT_UNKNOWN`, `CLOCK_SKEW`, `STORE_FAILED`, `REDIS_FAILED`
   */
  deleteTenant(tenant: string, options?: DeleteOptions): Promise<DeletionResult>;
}

export const createOffboardingOperator = (deps: OffboardingDeps): OffboardingOperator => ({
  exportTenant: (tenant, dir, options) => exportTenant(deps, tenant, dir, options),
  countTenant: (tenant, signal) => countTenant(deps, tenant, signal),
  deleteTenant: async (tenant, options) => deleteTenant(deps, tenant, { operator: await deps.identity(), ...options }),
});
