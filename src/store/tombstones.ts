// documents/ for the tombstone sweep: lists possible tombstones, and removes one if it is unchanged.
import { stateOf } from './revisions.ts';
import type { ListedObject, Store } from './store.ts';

/** Larger than any tombstone, and smaller than any message. */
const MAX_BYTES = 128;

/** The possible tombstones in a page of all documents. Pass `next` as `after`. */
export async function listTombstones(
  store: Store,
  after?: string,
  signal?: AbortSignal,
): Promise<{ maybe: ListedObject[]; next?: string }> {
  const page = await store.list('documents/', { signal, ...(after === undefined ? {} : { after }) });
  return {
    maybe: page.objects.filter(({ bytes }) => bytes <= MAX_BYTES),
    ...(page.next === undefined ? {} : { next: page.next }),
  };
}

/** Removes it if it is a tombstone and unchanged. Returns true if removed. */
export async function removeTombstone(
  store: Store,
  { key, etag }: ListedObject,
  signal?: AbortSignal,
): Promise<boolean> {
  const facts = await store.head(key, { signal });
  if (!facts || facts.etag !== etag || !stateOf(facts).isDeleted) return false;
  return (await store.remove(key, { etag, signal })) === 'removed';
}
