// originals/<tenant>/<corpus>/<sha256 of the id>: the file that a document was made of, for tenants that keep them.
// Ordered by revision as the document itself; sees messages only.
//
// It is written after its document, since a write that is refused must not touch the file of the one that stands. So a newer
// job may look for it before it is there: whoever wrote it looks at the document once more and takes it away again. Who dies
// in between is redelivered, finds its document superseded or in conflict, and takes it away then. Until that, readers
// compare both revisions and give nothing out.
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { DocumentPlace, DocumentWrite } from './documents.ts';
import { metadataOf, stateOf, writeByRevision, type Written } from './revisions.ts';
import type { Store, StoredObject } from './store.ts';

const keyOf = ({ tenant, corpus, object }: DocumentPlace): string => `originals/${tenant}/${corpus}/${object}`;

/** After its document. @throws as `writeDocument` */
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

/** Others may write in between, each with a higher revision: then it is theirs, which stays. More is somebody at odds with us. */
const ROUNDS = 3;

/**
 * Removes what is kept of this revision or a lower one: its document is deleted, or replaced by one that keeps none.
 * @throws SealdexError `STORE_FAILED` with reason `Contention`
 */
export const removeOriginal = (
  store: Store,
  place: DocumentPlace,
  revision: number,
  signal?: AbortSignal,
): Promise<void> => removeIf(store, place, (kept) => kept <= revision, signal);

/** Removes what is kept of this very revision. @throws as `removeOriginal` */
export const removeOwnOriginal = (
  store: Store,
  place: DocumentPlace,
  revision: number,
  signal?: AbortSignal,
): Promise<void> => removeIf(store, place, (kept) => kept === revision, signal);

async function removeIf(
  store: Store,
  place: DocumentPlace,
  isMeant: (revision: number) => boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const facts = await store.head(keyOf(place), { signal });
    if (!facts || !isMeant(stateOf(facts).revision)) return;
    if ((await store.remove(keyOf(place), { etag: facts.etag, signal })) === 'removed') return;
  }
  throw new SealdexError('STORE_FAILED', undefined, { reason: 'Contention' });
}
