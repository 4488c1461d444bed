// Tenants of a KMS key: finds them in the tenant files, the only place that records them.
import type { Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import { readableArnsOf, type TenantFile, type Tenants } from '../tenants/tenants.ts';

export interface KeyTenantsDeps {
  readonly config: Config;
  readonly tenants: Tenants;
}

/** A tenant that has or had a KMS key, or a tenant whose file could not be read. */
export interface KeyTenant {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Present if the file could not be read: the tenant may have the key. */
  readonly error?: SealdexError;
  /** Present if the tenant was deleted. */
  readonly deleted?: true;
  /** Present if an operator blocked the key for the tenant. */
  readonly blocked?: true;
}

const CONCURRENCY = 16;

/**
 * All tenants that have or had the KMS key, in the order of their names. Reads every tenant's file, in batches.
 * @param renewLease called before each batch; its error ends the walk
 */
export async function* tenantsOf(
  { config, tenants }: KeyTenantsDeps,
  keyArn: string,
  renewLease?: () => Promise<void>,
): AsyncGenerator<KeyTenant> {
  const inspect = async (tenant: string): Promise<KeyTenant | undefined> => {
    try {
      const file = await fileOf(tenants, tenant);
      if (!file || !readableArnsOf(file, config).has(keyArn)) return undefined;
      const isBlocked = file.blockedKeys.some(({ arn }) => arn === keyArn);
      return { tenant, ...(isBlocked ? { blocked: true } : {}), ...(file.deleted ? { deleted: true } : {}) };
    } catch (error) {
      // An error of one tenant does not end the walk.
      if (error instanceof SealdexError) return { tenant, error };
      throw error;
    }
  };
  let names: string[] = [];
  const inspectBatch = async (): Promise<KeyTenant[]> => {
    await renewLease?.();
    const found = await Promise.all(names.map(inspect));
    names = [];
    return found.filter((each) => each !== undefined);
  };
  for await (const name of tenants.names()) {
    names.push(name);
    if (names.length >= CONCURRENCY) yield* await inspectBatch();
  }
  yield* await inspectBatch();
}

/** Undefined if the tenant does not exist. */
export async function fileOf(tenants: Tenants, tenant: string): Promise<TenantFile | undefined> {
  try {
    return await tenants.show(tenant);
  } catch (error) {
    if (error instanceof SealdexError && error.code === 'TENANT_UNKNOWN') return undefined;
    throw error;
  }
}
