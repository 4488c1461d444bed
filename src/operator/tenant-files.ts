// Tenant files: reads all of them concurrently, and returns them in the order of their names.
import { SealdexError } from '../runtime/errors.ts';
import type { TenantFile, Tenants } from '../tenants/tenants.ts';

/** A tenant and its file, or the error of a file that cannot be read. */
export type ListedTenant =
  | { readonly tenant: string; readonly file: TenantFile; readonly error?: never }
  | { readonly tenant: string; readonly file?: never; readonly error: SealdexError };

const CONCURRENCY = 32;

/** Returns a malformed file as an entry with its error. @throws SealdexError `STORE_FAILED` and others that concern all files */
export async function* tenantFiles(tenants: Pick<Tenants, 'names' | 'show'>): AsyncGenerator<ListedTenant> {
  let names: string[] = [];
  for await (const name of tenants.names()) {
    names.push(name);
    if (names.length < CONCURRENCY) continue;
    yield* await readAll(tenants, names);
    names = [];
  }
  yield* await readAll(tenants, names);
}

async function readAll(tenants: Pick<Tenants, 'show'>, names: readonly string[]): Promise<ListedTenant[]> {
  const all = await Promise.all(names.map((tenant) => read(tenants, tenant)));
  return all.filter((each) => each !== undefined);
}

async function read({ show }: Pick<Tenants, 'show'>, tenant: string): Promise<ListedTenant | undefined> {
  try {
    return { tenant, file: await show(tenant) };
  } catch (error) {
    if (!(error instanceof SealdexError)) throw error;
    // Removed since its name was listed.
    if (error.code === 'TENANT_UNKNOWN') return undefined;
    if (error.code === 'PLATFORM_TENANTS') return { tenant, error };
    throw error;
  }
}
