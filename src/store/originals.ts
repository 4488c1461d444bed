// originals/<tenant>/<corpus>/<SHA-256 of the id>: the uploaded file of a document, for tenants that keep originals. Ordered by
// revision, like the document.
// The original is written after its document, since a rejected write must not replace the current document's file. A newer job
// may therefore run before the original exists. After writing, the older job reads the document again and removes its own
// original if it is outdated. If that process crashes in between, the redelivered job finds its document superseded or in
// conflict, and removes the original then. Until that, readers compare both revisions and return nothing.
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { DocumentPlace, DocumentWrite } from './documents.ts';
import { metadataOf, stateOf, writeByRevision, type Written } from './revisions.ts';
import type { Store, StoredObject } from './store.ts';

const keyOf = ({ tenant, corpus, object }: DocumentPlace): string => `originals/${tenant}/${corpus}/${object}`;

/** Call it after writing the document. @throws as `writeDocument` */
export const writeOriginal = (
  store: Store,
  clock: Clock,
  write: Omit<DocumentWrite, 'ifExists'>,
  signal?: AbortSignal,
): Promise<Written> =>
  writeByRevision(
    store,
    clock,
    keyOf(write),
    { ...write, ifExists: 'replace' },
    write.message,
    metadataOf(write),
    signal,
  );

export const getOriginal = (
  store: Store,
  place: DocumentPlace,
  signal?: AbortSignal,
): Promise<StoredObject | undefined> => store.get(keyOf(place), { signal });

/**
 * Each concurrent write has a higher revision, and its original stays. More rounds mean that another program writes to the
 * bucket.
 */
const ROUNDS = 3;

/**
 * Removes an original of this revision or a lower one: its document was deleted, or replaced by one without an original.
 * @throws SealdexError `STORE_FAILED` with reason `Contention`
 */
export const removeOriginal = (
  store: Store,
  place: DocumentPlace,
  revision: number,
  signal?: AbortSignal,
): Promise<void> => removeIf(store, place, (kept) => kept <= revision, signal);

/** Removes an original of exactly this revision. @throws as `removeOriginal` */
export const removeOwnOriginal = (
  store: Store,
  place: DocumentPlace,
  revision: number,
  signal?: AbortSignal,
): Promise<void> => removeIf(store, place, (kept) => kept === revision, signal);

async function removeIf(
  store: Store,
  place: DocumentPlace,
  isConfirmed: (revision: number) => boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const facts = await store.head(keyOf(place), { signal });
    if (!facts || !isConfirmed(stateOf(facts).revision)) return;
    if ((await store.remove(keyOf(place), { etag: facts.etag, signal })) === 'removed') return;
  }
  throw new SealdexError('STORE_FAILED', undefined, { reason: 'Contention' });
}
