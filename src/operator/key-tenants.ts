// Whose a KMS key is, which only the tenants' files tell. What follows from that is not known here.
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

const READ_AT_ONCE = 16;

/**
 * All tenants that have or had the KMS key, in the order of their names. Reads every tenant's file, some at a time.
 * @param renewLease asked before each time; what it throws ends the walk
 */
export async function* tenantsOf(
  { config, tenants }: KeyTenantsDeps,
  keyArn: string,
  renewLease?: () => Promise<void>,
): AsyncGenerator<KeyTenant> {
  const look = async (tenant: string): Promise<KeyTenant | undefined> => {
    try {
      const file = await fileOf(tenants, tenant);
      if (!file || !readableArnsOf(file, config).has(keyArn)) return undefined;
      const isBlocked = file.blockedKeys.some(({ arn }) => arn === keyArn);
      return { tenant, ...(isBlocked ? { blocked: true } : {}), ...(file.deleted ? { deleted: true } : {}) };
    } catch (error) {
      // One tenant's fault leaves the others alone.
      if (error instanceof SealdexError) return { tenant, error };
      throw error;
    }
  };
  let names: string[] = [];
  const lookAll = async (): Promise<KeyTenant[]> => {
    await renewLease?.();
    const found = await Promise.all(names.map(look));
    names = [];
    return found.filter((each) => each !== undefined);
  };
  for await (const name of tenants.names()) {
    names.push(name);
    if (names.length >= READ_AT_ONCE) yield* await lookAll();
  }
  yield* await lookAll();
}

/** The file of a tenant that may not exist yet, or not any more. */
export async function fileOf(tenants: Tenants, tenant: string): Promise<TenantFile | undefined> {
  try {
    return await tenants.show(tenant);
  } catch (error) {
    if (error instanceof SealdexError && error.code === 'TENANT_UNKNOWN') return undefined;
    throw error;
  }
}
