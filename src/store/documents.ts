// documents/<tenant>/<corpus>/<SHA-256 of the id>: one object per document; the highest revision wins. Imports no key or record
// code.
import type { Clock } from '../runtime/clock.ts';
import { NAME } from '../runtime/names.ts';
import { metadataOf, writeByRevision, type Written } from './revisions.ts';
import type { ListedObject, ObjectFacts, Store, StoredObject } from './store.ts';

export interface DocumentPlace {
  readonly tenant: string;
  readonly corpus: string;
  /** SHA-256 of the document id, in hex. */
  readonly object: string;
}

export interface DocumentDelete extends DocumentPlace {
  readonly revision: number;
  readonly jobId: string;
}

export interface DocumentWrite extends DocumentDelete {
  readonly ifExists: 'replace' | 'reject';
  readonly message: Uint8Array;
}

const prefixOf = (tenant: string, corpus: string): string => `documents/${tenant}/${corpus}/`;
const keyOf = ({ tenant, corpus, object }: DocumentPlace): string => `${prefixOf(tenant, corpus)}${object}`;

/**
 * Writes a document unless a higher revision is stored. A new document costs one request.
 * @throws SealdexError `DOCUMENT_CONFLICT` with `ifExists: 'reject'` if another job's document is stored; `STORE_FAILED` with
 * reason `Contention` after 10 rounds with concurrent writes, or `RevisionAhead` if the stored revision is in the future
 */
export const writeDocument = (
  store: Store,
  clock: Clock,
  write: DocumentWrite,
  signal?: AbortSignal,
): Promise<Written> => writeByRevision(store, clock, keyOf(write), write, write.message, metadataOf(write), signal);

/**
 * Writes a tombstone, even if there is no document, unless a higher revision is stored: it supersedes older jobs for the
 * document. Each tombstone has a unique body and therefore a unique ETag. With equal ETags, an older write that read one
 * tombstone would replace a newer one. Readers only use its metadata.
 * @throws SealdexError `STORE_FAILED` as `writeDocument`
 */
export function deleteDocument(
  store: Store,
  clock: Clock,
  deletion: DocumentDelete,
  signal?: AbortSignal,
): Promise<Written> {
  const body = Buffer.from(`${deletion.revision} ${deletion.jobId}\n`);
  const metadata = { ...metadataOf(deletion), deleted: '1' };
  return writeByRevision(store, clock, keyOf(deletion), { ...deletion, ifExists: 'replace' }, body, metadata, signal);
}

export const headDocument = (
  store: Store,
  place: DocumentPlace,
  signal?: AbortSignal,
): Promise<ObjectFacts | undefined> => store.head(keyOf(place), { signal });

export const getDocument = (
  store: Store,
  place: DocumentPlace,
  signal?: AbortSignal,
): Promise<StoredObject | undefined> => store.get(keyOf(place), { signal });

/** Names of the corpora of a tenant, read page by page. A corpus that has only tombstones is included. */
export async function* listCorpusNames(store: Store, tenant: string): AsyncGenerator<string> {
  let after: string | undefined;
  do {
    const page = await store.listFolders(`documents/${tenant}/`, after === undefined ? {} : { after });
    for (const name of page.folders) if (NAME.test(name)) yield name;
    after = page.next;
  } while (after !== undefined);
}

/** A page of a corpus in the order of the object names. Pass `next` as `after`. */
export async function listDocuments(
  store: Store,
  { tenant, corpus, after, limit }: { tenant: string; corpus: string; after?: string; limit: number },
  signal?: AbortSignal,
): Promise<{ objects: (ListedObject & { object: string })[]; next?: string }> {
  const prefix = prefixOf(tenant, corpus);
  const page = await store.list(prefix, { limit, signal, ...(after === undefined ? {} : { after: prefix + after }) });
  return {
    objects: page.objects.map((listed) => ({ ...listed, object: listed.key.slice(prefix.length) })),
    ...(page.next === undefined ? {} : { next: page.next.slice(prefix.length) }),
  };
}
