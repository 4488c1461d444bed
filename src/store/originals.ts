// originals/<tenant>/<corpus>/<sha256 of the id>: the file that a document was made of, for tenants that keep them.
// Ordered by revision as the document itself; sees messages only.
import type { Clock } from '../clock.ts';
import type { DocumentPlace, DocumentWrite } from './documents.ts';
import { metadataOf, stateOf, writeByRevision, type Written } from './revisions.ts';
import type { Store, StoredObject } from './s3.ts';

const keyOf = ({ tenant, corpus, object }: DocumentPlace): string => `originals/${tenant}/${corpus}/${object}`;

/** Before the document is written: a document whose original is to be kept never stands without it. @throws as `writeDocument` */
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

/** Others may write in between, each with a higher revision: then it is theirs, which stays. */
const ROUNDS = 3;

/** Removes what is kept of this revision or a lower one: its document is deleted, or replaced by one that keeps none. */
export async function removeOriginal(
  store: Store,
  place: DocumentPlace,
  revision: number,
  signal?: AbortSignal,
): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const facts = await store.head(keyOf(place), { signal });
    if (!facts || stateOf(facts).revision > revision) return;
    if ((await store.remove(keyOf(place), { etag: facts.etag, signal })) === 'removed') return;
  }
}
