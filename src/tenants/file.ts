// Tenant files: read, and written without losing concurrent changes. The content after a change is defined in merge.ts;
// tenants.ts caches files and announces changes.
import { SealdexError } from '../runtime/errors.ts';
import { isNewerThan, NEWER, newerMessage } from '../runtime/newer.ts';
import { isRefusal, type Store } from '../store/store.ts';
import { readTenantFile, TENANT_FILE_BYTES, writeTenantFile } from '../store/tenants.ts';
import { isAlreadyApplied, merge, type TenantFileChange } from './merge.ts';
import { tenantFile, type TenantFile } from './shape.ts';

const MERGE_ROUNDS = 5;

export interface LoadedFile {
  readonly file: TenantFile;
  readonly bytes: Buffer;
  readonly etag: string;
}

export async function loadTenantFile(store: Store, tenant: string): Promise<LoadedFile | undefined> {
  try {
    const found = await readTenantFile(store, tenant);
    if (!found) return undefined;
    const value = parseJson(found.bytes);
    if (isNewerThan(1, value))
      throw new SealdexError('PLATFORM_TENANTS', newerMessage(`tenants/${tenant}.json`), { reason: NEWER });
    const file = tenantFile.safeParse(value);
    if (!file.success || file.data.tenant !== tenant)
      throw new SealdexError(
        'PLATFORM_TENANTS',
        `tenants/${tenant}.json is not a valid tenant file. Repair it in the bucket.`,
        { reason: 'Malformed' },
      );
    return { file: file.data, ...found };
  } catch (error) {
    if (isRefusal(error))
      throw new SealdexError('PLATFORM_TENANTS', `tenants/${tenant}.json cannot be read. ${error.message}`, {
        reason: error.reason ?? 'Refused',
        cause: error,
      });
    throw error;
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Reads, merges and writes until there is no concurrent write. */
export async function putTenantFile(
  store: Store,
  tenant: string,
  change: TenantFileChange,
): Promise<{ made: boolean; file: TenantFile }> {
  let made: Buffer | undefined;
  for (let round = 0; round < MERGE_ROUNDS; round++) {
    const loaded = await loadTenantFile(store, tenant);
    // The response to this process's own write was lost.
    if (loaded && made?.equals(loaded.bytes)) return { made: true, file: loaded.file };
    if (loaded && isAlreadyApplied(loaded.file, change)) return { made: false, file: loaded.file };
    const file = merge(tenant, loaded?.file, change);
    const bytes = Buffer.from(`${JSON.stringify(file, null, 2)}\n`);
    if (bytes.length > TENANT_FILE_BYTES) throw new SealdexError('PLATFORM_TENANTS', undefined, { reason: 'TooLarge' });
    if (!loaded) made = bytes;
    const answer = await writeTenantFile(store, tenant, bytes, loaded?.etag);
    if (answer.kind === 'written') return { made: loaded === undefined, file };
  }
  throw new SealdexError('TENANT_CHANGED');
}
