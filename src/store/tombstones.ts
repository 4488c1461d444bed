// documents/ as the sweep of tombstones sees it: what may be one, and removing it if it still is.
// How a tombstone is written is documents.ts' business; how old it must be, the sweep's.
import { stateOf } from './revisions.ts';
import type { ListedObject, Store } from './store.ts';

/** More than a tombstone has, and less than any message. */
const MOST_BYTES = 128;

/** A page of all documents: those that may be tombstones. `next` goes into `after`. */
export async function listTombstones(
  store: Store,
  after?: string,
  signal?: AbortSignal,
): Promise<{ maybe: ListedObject[]; next?: string }> {
  const page = await store.list('documents/', { signal, ...(after === undefined ? {} : { after }) });
  return {
    maybe: page.objects.filter(({ bytes }) => bytes <= MOST_BYTES),
    ...(page.next === undefined ? {} : { next: page.next }),
  };
}

/** Removes it if it is a tombstone and still the one that was listed. Answers whether it did. */
export async function removeTombstone(
  store: Store,
  { key, etag }: ListedObject,
  signal?: AbortSignal,
): Promise<boolean> {
  const facts = await store.head(key, { signal });
  if (!facts || facts.etag !== etag || !stateOf(facts).isDeleted) return false;
  return (await store.remove(key, { etag, signal })) === 'removed';
}
