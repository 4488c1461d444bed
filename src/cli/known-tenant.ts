// Known tenant: the file of a tenant that may not exist yet.
import type { Operator, TenantFile } from '../app/app.ts';
import { SealdexError } from '../runtime/errors.ts';

/** Undefined if the tenant does not exist. @throws SealdexError as `Operator.tenant` */
export async function knownTenant(operator: Operator, tenant: string): Promise<TenantFile | undefined> {
  try {
    return await operator.tenant(tenant);
  } catch (error) {
    if (error instanceof SealdexError && error.code === 'TENANT_UNKNOWN') return undefined;
    throw error;
  }
}
