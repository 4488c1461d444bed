// Objects of a tenant that leaves: all under its own prefixes, with older versions and unfinished uploads. A prefix ends with a
// slash, or is a whole key, so a tenant whose name begins alike is another one.
import { checkName } from '../runtime/names.ts';
import { reencryptedKey } from '../store/reencrypted.ts';
import { isRefusal, isUnsupported, type Store } from '../store/store.ts';
import { ENCRYPTED_PREFIXES } from '../store/tenant-objects.ts';
import { NOT_IMPLEMENTED, type ObjectCounts, type UnlistableKind } from './object-counts.ts';

export type Folder = (typeof ENCRYPTED_PREFIXES)[number];

export const prefixOf = (folder: Folder, tenant: string): string => `${folder}/${checkName(tenant, 'tenant')}/`;

interface Place {
  readonly prefix: string;
  /** What its objects count as. */
  readonly kind: Folder | 'traces';
}

const placesOf = (queue: string, tenant: string): Place[] => [
  ...ENCRYPTED_PREFIXES.map((kind) => ({ prefix: prefixOf(kind, tenant), kind })),
  { prefix: reencryptedKey(queue, tenant), kind: 'traces' },
];

export interface PassOptions {
  /** Counts and removes nothing. */
  readonly isDry: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((found: ObjectCounts) => void) | undefined;
}

const CONCURRENCY = 32;

/** @throws SealdexError `STORE_FAILED` when S3 cannot list, or removes nothing at all of what was listed */
export async function removeObjects(
  store: Store,
  queue: string,
  tenant: string,
  found: ObjectCounts,
  options: PassOptions,
): Promise<void> {
  for (const place of placesOf(queue, tenant)) {
    await where(found, 'versions', () => versionsUnder(store, place, found, options));
    // Where versions cannot be seen, what is current can; elsewhere this finds what came in between.
    if (!options.isDry || found.unseen.has('versions')) await objectsUnder(store, place, found, options);
    await where(found, 'uploads', () => uploadsUnder(store, place, found, options));
  }
}

/** A store that knows nothing of them, or does not let us look. */
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
    // Some may fail, and are met again; when all do, S3 is away, or we may not.
    if (refused.length === batch.length && refused[0]) throw refused[0].reason;
    for (const [at, item] of batch.entries()) if (ends[at]?.status !== 'rejected') count(item);
    found.refused += refused.length;
    onProgress?.(found);
  }
}
