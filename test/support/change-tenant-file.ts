// Changes of a tenant's file that the type of `putTenant` leaves out: a test chooses times and keys that operations choose themselves.
import type { Operator, PutTenant } from '../../src/index.ts';
import type { TenantFileChange } from '../../src/tenants/merge.ts';

export type { TenantFileChange } from '../../src/tenants/merge.ts';

export const changeTenantFile = (
  operator: Pick<Operator, 'putTenant'>,
  tenant: string,
  change: TenantFileChange,
): Promise<PutTenant> => operator.putTenant(tenant, change);
