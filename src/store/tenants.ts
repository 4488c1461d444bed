// tenants/<tenant>.json: reads, lists and conditionally writes tenant files as bytes. Their content is defined in
// src/tenants/file.ts.
import { NAME } from '../runtime/names.ts';
import { readAll, type PutAnswer, type Store } from './store.ts';

const keyOf = (tenant: string): string => `tenants/${tenant}.json`;

/** A larger file is not a tenant file. */
export const TENANT_FILE_BYTES = 1_048_576;

export async function readTenantFile(
  store: Store,
  tenant: string,
): Promise<{ bytes: Buffer; etag: string } | undefined> {
  const stored = await store.get(keyOf(tenant));
  if (!stored) return undefined;
  if (stored.bytes > TENANT_FILE_BYTES) {
    stored.discard();
    return { bytes: Buffer.alloc(0), etag: stored.etag };
  }
  return { bytes: await readAll(stored), etag: stored.etag };
}

/** Writes the file if it has this ETag; without one, if there is no file. */
export const writeTenantFile = (
  store: Store,
  tenant: string,
  bytes: Uint8Array,
  etag: string | undefined,
): Promise<PutAnswer> =>
  store.put(keyOf(tenant), bytes, { condition: etag === undefined ? { absent: true } : { etag } });

/** Names of all tenants, page by page, in alphabetical order. */
export async function* listTenantNames(store: Store): AsyncGenerator<string> {
  let after: string | undefined;
  do {
    const page = await store.list('tenants/', after === undefined ? {} : { after });
    for (const { key } of page.objects) {
      const name = /^tenants\/(.+)\.json$/.exec(key)?.[1];
      if (name !== undefined && NAME.test(name)) yield name;
    }
    after = page.next;
  } while (after !== undefined);
}
