// Objects of a deleted tenant: removes all objects under its prefixes, older versions and unfinished uploads.
// A prefix ends with a slash or is a complete key, so that it never matches a tenant with a longer name.
import { checkName } from '../runtime/names.ts';
import { reencryptedKey } from '../store/reencrypted.ts';
import { isRefusal, isUnsupported, type Store } from '../store/store.ts';
import { ENCRYPTED_PREFIXES } from '../store/tenant-objects.ts';
import { NOT_IMPLEMENTED, type ObjectCounts, type UnlistableKind } from './object-counts.ts';

export type Folder = (typeof ENCRYPTED_PREFIXES)[number];

export const prefixOf = (folder: Folder, tenant: string): string => `${folder}/${checkName(tenant, 'tenant')}/`;

interface Place {
  readonly prefix: string;
  /** Kind as which its objects are counted. */
  readonly kind: Folder | 'traces';
}

const placesOf = (queue: string, tenant: string): Place[] => [
  ...ENCRYPTED_PREFIXES.map((kind) => ({ prefix: prefixOf(kind, tenant), kind })),
  { prefix: reencryptedKey(queue, tenant), kind: 'traces' },
];

export interface PassOptions {
  /** Counts only, and removes nothing. */
  readonly isDry: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((found: ObjectCounts) => void) | undefined;
}

const CONCURRENCY = 32;

/** @throws SealdexError `STORE_FAILED` if S3 cannot list, or if no removal of a batch succeeds */
export async function removeObjects(
  store: Store,
  queue: string,
  tenant: string,
  found: ObjectCounts,
  options: PassOptions,
): Promise<void> {
  for (const place of placesOf(queue, tenant)) {
    await where(found, 'versions', () => versionsUnder(store, place, found, options));
    // If versions cannot be listed, current objects can. Otherwise this finds objects that were written since.
    if (!options.isDry || found.unseen.has('versions')) await objectsUnder(store, place, found, options);
    await where(found, 'uploads', () => uploadsUnder(store, place, found, options));
  }
}

/** Runs `work`; records the kind as unseen if the store does not support it or denies it. */
async function where(found: ObjectCounts, what: UnlistableKind, work: () => Promise<void>): Promise<void> {
  if (found.unseen.has(what)) return;
  try {
    await work();
  } catch (error) {
    if (!isRefusal(error) && !isUnsupported(error)) throw error;
    const { reason = 'Refused' } = error;
    found.unseen.set(what, isUnsupported(error) ? NOT_IMPLEMENTED : reason);
  }
}

async function versionsUnder(store: Store, { prefix, kind }: Place, found: ObjectCounts, options: PassOptions) {
  const { signal } = options;
  let after: Awaited<ReturnType<Store['listVersions']>>['next'];
  do {
    const page = await store.listVersions(prefix, { after, signal });
    await removeAll(
      page.versions,
      found,
      options,
      (version) => store.removeVersion(version, signal),
      ({ isCurrent }) => {
        found.counts[isCurrent ? kind : 'versions'] += 1;
      },
    );
    after = page.next;
  } while (after !== undefined);
}

async function objectsUnder(store: Store, { prefix, kind }: Place, found: ObjectCounts, options: PassOptions) {
  const { signal } = options;
  let after: string | undefined;
  do {
    const page = await store.list(prefix, { signal, ...(after === undefined ? {} : { after }) });
    await removeAll(
      page.objects,
      found,
      options,
      ({ key }) => store.remove(key, { signal }),
      () => {
        found.counts[kind] += 1;
      },
    );
    after = page.next;
  } while (after !== undefined);
}

async function uploadsUnder(store: Store, { prefix }: Place, found: ObjectCounts, options: PassOptions) {
  const { signal } = options;
  let after: Awaited<ReturnType<Store['listUploads']>>['next'];
  do {
    const page = await store.listUploads(prefix, { after, signal });
    await removeAll(
      page.uploads,
      found,
      options,
      (upload) => store.abortUpload(upload, signal),
      () => {
        found.counts.uploads += 1;
      },
    );
    after = page.next;
  } while (after !== undefined);
}

async function removeAll<T>(
  items: readonly T[],
  found: ObjectCounts,
  { isDry, signal, onProgress }: PassOptions,
  remove: (item: T) => Promise<unknown>,
  count: (item: T) => void,
): Promise<void> {
  for (let from = 0; from < items.length; from += CONCURRENCY) {
    signal?.throwIfAborted();
    const batch = items.slice(from, from + CONCURRENCY);
    const ends = isDry ? [] : await Promise.allSettled(batch.map(remove));
    signal?.throwIfAborted();
    const refused = ends.filter((end) => end.status === 'rejected');
    // Single failures are retried by the next pass. If all fail, S3 is unreachable or denies access.
    if (refused.length === batch.length && refused[0]) throw refused[0].reason;
    for (const [at, item] of batch.entries()) if (ends[at]?.status !== 'rejected') count(item);
    found.refused += refused.length;
    onProgress?.(found);
  }
}
