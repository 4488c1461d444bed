// documents/<tenant>/<corpus>/<sha256 of the id>: one object per document, the last writer by revision wins.
// Sees messages only; knows nothing of keys or of what a record says.
import { sleep, type Clock } from '../clock.ts';
import { SealdexError } from '../errors.ts';
import type { Condition, ListedObject, ObjectFacts, PutAnswer, Store, StoredObject } from './s3.ts';

export interface DocumentPlace {
  readonly tenant: string;
  readonly corpus: string;
  /** sha256 of the document id, in hex. */
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

const ROUNDS = 10;
const ROUND_MS = 50;

/** What the object metadata says (contract, design section 8). An object without it is not ours and counts as revision 0. */
export function stateOf({ metadata }: ObjectFacts): { revision: number; jobId: string; isDeleted: boolean } {
  const text = metadata['revision'] ?? '';
  const revision = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  return {
    revision: Number.isSafeInteger(revision) ? revision : 0,
    jobId: metadata['job-id'] ?? '',
    isDeleted: metadata['deleted'] === '1',
  };
}

/**
 * Writes a document unless a higher revision is stored. A new document costs one request.
 * @throws SealdexError `DOCUMENT_CONFLICT` with `ifExists: 'reject'` when another job's document is there,
 * `STORE_FAILED` with reason `Contention` after 10 rounds of others writing in between, or `RevisionAhead` when what is
 * stored claims to be from the future.
 */
export const writeDocument = (
  store: Store,
  clock: Clock,
  write: DocumentWrite,
  signal?: AbortSignal,
): Promise<Written> => writeObject(store, clock, write, write.message, metadataOf(write), signal);

/**
 * Writes a tombstone, with or without a document to delete, unless a higher revision is stored: older jobs for the
 * document then find it. No two have the same body: with one ETag for all, an older write that looked at one tombstone
 * would replace the newer one that came in between. Readers look at its metadata only.
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
  return writeObject(store, clock, { ...deletion, ifExists: 'replace' }, body, metadata, signal);
}

export type Written = 'stored' | 'superseded';

/** What is compared with the stored object. */
type Claim = Omit<DocumentWrite, 'message'>;

const metadataOf = ({ revision, jobId }: DocumentDelete): Record<string, string> => ({
  revision: String(revision),
  'job-id': jobId,
  v: '1',
});

async function writeObject(
  store: Store,
  clock: Clock,
  claim: Claim,
  body: Uint8Array,
  metadata: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<Written> {
  const key = keyOf(claim);
  const put = (condition: Condition): Promise<PutAnswer> => store.put(key, body, { metadata, condition, signal });
  let isExpected = false;
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) await sleep(clock, Math.random() * ROUND_MS * round, signal);
    if (!isExpected && (await put({ absent: true })).kind === 'written') return 'stored';
    const stored = await store.head(key, { signal });
    isExpected = stored !== undefined;
    if (!stored) continue;
    const verdict = compare(claim, stored, clock.now());
    if (verdict !== 'replace') return verdict;
    const second = await put({ etag: stored.etag });
    if (second.kind === 'written') return 'stored';
    // Changed meanwhile: look again. Gone meanwhile: as at first.
    isExpected = second.kind !== 'missing';
  }
  throw new SealdexError('STORE_FAILED', undefined, { reason: 'Contention' });
}

/** Revisions come from a clock: one this far ahead is nobody's, and would swallow every later document in silence. */
const AHEAD_MS = 600_000;

function compare(claim: Claim, facts: ObjectFacts, now: number): Written | 'replace' {
  const stored = stateOf(facts);
  if (claim.ifExists === 'reject' && !stored.isDeleted && stored.jobId !== claim.jobId)
    throw new SealdexError('DOCUMENT_CONFLICT');
  // An equal revision is this very write, whose answer was lost.
  if (stored.revision === claim.revision) return 'stored';
  if (stored.revision / 1000 > now + AHEAD_MS)
    throw new SealdexError('STORE_FAILED', undefined, { reason: 'RevisionAhead' });
  return stored.revision > claim.revision ? 'superseded' : 'replace';
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

/** A page of a corpus in the order of the object names; `next` goes into `after`. */
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
