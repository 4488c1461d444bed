// Pages of a corpus: the metadata of its objects, and on request the heads of their records.
import { dispositionOf, SealdexError, type Code } from '../runtime/errors.ts';
import { fieldsOf } from '../runtime/known-fields.ts';
import { checkName } from '../runtime/names.ts';
import { getDocument, headDocument, listDocuments, type DocumentPlace } from '../store/documents.ts';
import { stateOf } from '../store/revisions.ts';
import type { ObjectFacts } from '../store/store.ts';
import type { Tenant } from '../tenants/tenants.ts';
import { openObject, type DocumentHead } from './open-document.ts';
import type { ReaderDeps } from './resolve-document.ts';

/** Request for one page of a corpus. */
export interface ListRequest {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Name of the corpus. */
  readonly corpus: string;
  /** `next` of the previous page. */
  readonly after?: string | undefined;
  /** Maximum number of documents per page: 1 to 1,000, 100 by default. */
  readonly limit?: number | undefined;
  /** True decrypts id and metadata of each document, with one read per document. */
  readonly metadata?: boolean | undefined;
}

/** A document in a page of a corpus. */
export interface ListedDocument {
  /** SHA-256 of the document id in hex: the name of the object in S3. */
  readonly object: string;
  /** Revision of the stored document. */
  readonly revision: number;
  /** Size of the encrypted object in bytes. */
  readonly bytes: number;
  /** True for a deleted document. */
  readonly isDeleted: boolean;
  /** With `metadata: true`: the decrypted head; absent if there is a `code`. */
  readonly document?: DocumentHead;
  /** Code of the error for which the document could not be decrypted. */
  readonly code?: Code;
}

const FIELDS = ['tenant', 'corpus', 'after', 'limit', 'metadata'] as const;
const LIST_CONCURRENCY = 8;
const MAX_LIMIT = 1000;
/** S3's limit for a key. */
const AFTER_CHARACTERS = 1024;

/** @throws SealdexError as `Reader.list` */
export async function listPage(
  deps: ReaderDeps,
  request: ListRequest,
): Promise<{ documents: ListedDocument[]; next?: string }> {
  const { tenant, corpus, after, limit, metadata } = checkList(request);
  const owner = await deps.tenants.get(tenant);
  const describeOne = metadata ? describe : listedFacts;
  const page = await listDocuments(deps.store, { tenant, corpus, limit, ...(after === undefined ? {} : { after }) });
  const documents: ListedDocument[] = [];
  for (let from = 0; from < page.objects.length; from += LIST_CONCURRENCY) {
    const some = page.objects.slice(from, from + LIST_CONCURRENCY);
    const entries = some.map(({ object }) => describeOne(deps, owner, { tenant, corpus, object }));
    documents.push(...(await allOf(entries)).filter((fact) => fact !== undefined));
  }
  return { documents, ...(page.next === undefined ? {} : { next: page.next }) };
}

const invalid = (field: string, rule: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${rule}.`, { field });

function checkList(request: unknown) {
  const { after, limit = 100, metadata = false, ...name } = fieldsOf(request, FIELDS);
  const tenant = checkName(name.tenant, 'tenant');
  const corpus = checkName(name.corpus, 'corpus');
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw invalid('limit', `must be a whole number from 1 to ${MAX_LIMIT}`);
  if (typeof metadata !== 'boolean') throw invalid('metadata', 'must be true or false');
  if (after === undefined) return { tenant, corpus, after, limit, metadata };
  if (typeof after !== 'string' || after === '' || after.length > AFTER_CHARACTERS || !after.isWellFormed())
    throw invalid('after', 'must be a cursor returned as `next`');
  return { tenant, corpus, after, limit, metadata };
}

/** Returns every result, or throws the first error after all have ended. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

const listedOf = (object: string, facts: ObjectFacts): ListedDocument => {
  const { revision, isDeleted } = stateOf(facts);
  return { object, revision, bytes: facts.bytes, isDeleted };
};

/** Undefined if the object was removed after the listing. */
async function listedFacts(
  { store }: ReaderDeps,
  _owner: Tenant,
  place: DocumentPlace,
): Promise<ListedDocument | undefined> {
  const facts = await headDocument(store, place);
  return facts && listedOf(place.object, facts);
}

/** As listedFacts(), with the head of the record, or the code of the error. */
async function describe(deps: ReaderDeps, owner: Tenant, place: DocumentPlace): Promise<ListedDocument | undefined> {
  const refusal = deps.gates.refusal(owner);
  if (refusal?.code === 'GATE_UNKNOWN') throw refusal;
  if (refusal) {
    const listed = await listedFacts(deps, owner, place);
    return listed && !listed.isDeleted ? { ...listed, code: refusal.code } : listed;
  }
  const stored = await getDocument(deps.store, place);
  if (!stored) return undefined;
  const listed = listedOf(place.object, stored);
  if (listed.isDeleted) {
    stored.discard();
    return listed;
  }
  try {
    const { head, close } = await openObject(deps, owner, place, stored);
    await close();
    return { ...listed, document: head };
  } catch (error) {
    // An outage is not specific to this document: the page must be requested again.
    const disposition = error instanceof SealdexError ? dispositionOf(error.code).disposition : 'retry';
    if (!(error instanceof SealdexError) || disposition === 'retry' || disposition === 'pause') throw error;
    return { ...listed, code: error.code };
  }
}
