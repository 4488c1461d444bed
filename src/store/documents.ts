// documents/<tenant>/<corpus>/<sha256 of the id>: one object per document, the last writer by revision wins.
// Sees messages only; knows nothing of keys or of what a record says.
import { createHash } from 'node:crypto';
import { sleep, type Clock } from '../clock.ts';
import { SealdexError } from '../errors.ts';
import type { Condition, ListedObject, ObjectFacts, PutAnswer, Store, StoredObject } from './s3.ts';

export interface DocumentPlace {
  readonly tenant: string;
  readonly corpus: string;
  /** sha256 of the document id, in hex. */
  readonly object: string;
}

export interface DocumentWrite extends DocumentPlace {
  readonly revision: number;
  readonly jobId: string;
  readonly ifExists: 'replace' | 'reject';
  readonly message: Uint8Array;
}

/** Name of a document in S3 and in the queue: sha256 of its id, in hex. Who can guess an id can confirm it. */
export const objectName = (documentId: string): string => createHash('sha256').update(documentId, 'utf8').digest('hex');

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
export async function writeDocument(
  store: Store,
  clock: Clock,
  write: DocumentWrite,
  signal?: AbortSignal,
): Promise<'stored' | 'superseded'> {
  const key = keyOf(write);
  const metadata = { revision: String(write.revision), 'job-id': write.jobId, v: '1' };
  const put = (condition: Condition): Promise<PutAnswer> =>
    store.put(key, write.message, { metadata, condition, signal });
  let isExpected = false;
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) await sleep(clock, Math.random() * ROUND_MS * round, signal);
    if (!isExpected && (await put({ absent: true })).kind === 'written') return 'stored';
    const stored = await store.head(key, { signal });
    isExpected = stored !== undefined;
    if (!stored) continue;
    const verdict = compare(write, stored, clock.now());
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

function compare(write: DocumentWrite, facts: ObjectFacts, now: number): 'stored' | 'superseded' | 'replace' {
  const stored = stateOf(facts);
  if (write.ifExists === 'reject' && !stored.isDeleted && stored.jobId !== write.jobId)
    throw new SealdexError('DOCUMENT_CONFLICT');
  // An equal revision is this very write, whose answer was lost.
  if (stored.revision === write.revision) return 'stored';
  if (stored.revision / 1000 > now + AHEAD_MS)
    throw new SealdexError('STORE_FAILED', undefined, { reason: 'RevisionAhead' });
  return stored.revision > write.revision ? 'superseded' : 'replace';
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
