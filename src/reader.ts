// The reader: decrypts stored documents for a caller, record by record, and lists a corpus.
// Checks that an object holds the document that its name promises. Writes nothing.
import { checkDocumentId } from './documents/shapes.ts';
import { readRecord, type RecordHead, type RecordItem, type RecordReading } from './documents/record.ts';
import { decryptStream } from './envelope/message.ts';
import { dispositionOf, SealdexError, type Code } from './errors.ts';
import type { KeyRing } from './keys/key-ring.ts';
import { unwrapFor } from './keys/unwrap.ts';
import { checkName, objectName } from './names.ts';
import type { Gates } from './parking/gate.ts';
import { getDocument, headDocument, listDocuments, stateOf, type DocumentPlace } from './store/documents.ts';
import type { ObjectFacts, Store, StoredObject } from './store/s3.ts';
import type { Tenant, Tenants } from './tenants.ts';

export interface DocumentName {
  readonly tenant: string;
  readonly corpus: string;
  readonly id: string;
}

/** Line 1 of the record: what the document says of itself, without its text. */
export type DocumentHead = RecordHead;

export interface OpenDocument extends AsyncDisposable {
  readonly document: DocumentHead;
  /**
   * Parts, then tables, then images, in the record's order, each decrypted when it is asked for. Read it to the end, or
   * leave the loop, or dispose of the document: until then it holds a connection. A truncated or changed object is found
   * where the fault is, so what came before it must not be taken for the whole.
   */
  readonly parts: AsyncIterable<RecordItem>;
}

export interface ListRequest {
  readonly tenant: string;
  readonly corpus: string;
  /** `next` of the page before. */
  readonly after?: string | undefined;
  /** 1 to 1,000; default 100. */
  readonly limit?: number | undefined;
  /** Decrypt each document's id and metadata: a read for every line. */
  readonly metadata?: boolean | undefined;
}

export interface ListedDocument {
  /** sha256 of the document id, in hex: its name in S3. */
  readonly object: string;
  readonly revision: number;
  /** Of the encrypted object. */
  readonly bytes: number;
  readonly isDeleted: boolean;
  /** With `metadata: true`, unless `code` says why not. */
  readonly document?: DocumentHead;
  readonly code?: Code;
}

export interface Reader extends AsyncDisposable {
  /**
   * What the document says of itself; its text is not read.
   * @throws SealdexError `NOT_FOUND`, `OBJECT_MISMATCH`, `OBJECT_TAMPERED`, `OBJECT_UNREADABLE`; `KEY_...` or
   * `TENANT_PAUSED` with `since`, at once, while the tenant's current KMS key is unusable; `GATE_UNKNOWN` when that could not
   * be read from Redis for 5 s; `PERIOD_DENIED`; `KMS_...`, `STORE_FAILED`; `DOCUMENT_INVALID` with `field` for a name that cannot be
   */
  metadata(name: DocumentName): Promise<DocumentHead>;
  /** @throws as `metadata`; `parts` throws the same while it is read */
  open(name: DocumentName): Promise<OpenDocument>;
  /**
   * A page of a corpus in the order of the object names, deleted documents included.
   * @throws SealdexError `TENANT_UNKNOWN`, `STORE_FAILED`; with `metadata: true` `KMS_...` and `GATE_UNKNOWN` too; what is
   * wrong with one document, or with the KMS key that it is under, stands on its line as `code`
   */
  list(request: ListRequest): Promise<{ documents: ListedDocument[]; next?: string }>;
}

export interface ReaderDeps {
  readonly store: Store;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
  readonly gates: Pick<Gates, 'refusal'>;
}

const LIST_AT_ONCE = 8;
const LIST_MOST = 1000;
/** S3's own limit for a key. */
const AFTER_CHARACTERS = 1024;

/** A record that is being read, and the way to let go of its connection, in any state and twice. */
interface Reading {
  readonly record: RecordReading;
  readonly close: () => Promise<void>;
}

export function createReaderFrom(deps: ReaderDeps): Omit<Reader, typeof Symbol.asyncDispose> {
  async function find(name: DocumentName): Promise<Reading> {
    const { tenant, corpus, id } = fieldsOf(name);
    const place = { tenant: checkName(tenant, 'tenant'), corpus: checkName(corpus, 'corpus') };
    const object = objectName(checkDocumentId(id));
    const owner = await deps.tenants.get(place.tenant);
    const refusal = deps.gates.refusal(owner);
    if (refusal) throw refusal;
    const stored = await getDocument(deps.store, { ...place, object });
    if (stored && !stateOf(stored).isDeleted) return openObject(deps, owner, { ...place, object }, stored);
    stored?.discard();
    throw new SealdexError('NOT_FOUND');
  }

  return {
    async metadata(name) {
      const { record, close } = await find(name);
      await close();
      return record.head;
    },

    async open(name) {
      const { record, close } = await find(name);
      return { document: record.head, parts: partsOf(record, close), [Symbol.asyncDispose]: close };
    },

    async list(request) {
      const { tenant, corpus, after, limit, metadata } = checkList(request);
      const owner = await deps.tenants.get(tenant);
      const look = metadata ? describe : glance;
      const page = await listDocuments(deps.store, {
        tenant,
        corpus,
        limit,
        ...(after === undefined ? {} : { after }),
      });
      const documents: ListedDocument[] = [];
      for (let from = 0; from < page.objects.length; from += LIST_AT_ONCE) {
        const some = page.objects.slice(from, from + LIST_AT_ONCE);
        const looks = some.map(({ object }) => look(deps, owner, { tenant, corpus, object }));
        documents.push(...(await allOf(looks)).filter((fact) => fact !== undefined));
      }
      return { documents, ...(page.next === undefined ? {} : { next: page.next }) };
    },
  };
}

/** What is no object at all has none of the fields: then the first of them is named as missing. */
const fieldsOf = (input: unknown): Readonly<Record<string, unknown>> =>
  typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {};

function checkList(request: unknown) {
  const { after, limit = 100, metadata = false, ...name } = fieldsOf(request);
  const tenant = checkName(name['tenant'], 'tenant');
  const corpus = checkName(name['corpus'], 'corpus');
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > LIST_MOST)
    throw invalid('limit', `must be a whole number from 1 to ${LIST_MOST}`);
  if (typeof metadata !== 'boolean') throw invalid('metadata', 'must be true or false');
  if (after === undefined) return { tenant, corpus, after, limit, metadata };
  if (typeof after !== 'string' || after === '' || after.length > AFTER_CHARACTERS || !after.isWellFormed())
    throw invalid('after', 'must be what a page gave as next');
  return { tenant, corpus, after, limit, metadata };
}

const invalid = (field: string, rule: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${rule}.`, { field });

/** Every result, or the first error once nothing is under way any more. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

const listedOf = (object: string, facts: ObjectFacts): ListedDocument => {
  const { revision, isDeleted } = stateOf(facts);
  return { object, revision, bytes: facts.bytes, isDeleted };
};

/** undefined: removed between the listing and the look. */
async function glance(
  { store }: ReaderDeps,
  _owner: Tenant,
  place: DocumentPlace,
): Promise<ListedDocument | undefined> {
  const facts = await headDocument(store, place);
  return facts && listedOf(place.object, facts);
}

/** As glance(), with the head of the record, or the code that says why there is none. */
async function describe(deps: ReaderDeps, owner: Tenant, place: DocumentPlace): Promise<ListedDocument | undefined> {
  const refusal = deps.gates.refusal(owner);
  if (refusal?.code === 'GATE_UNKNOWN') throw refusal;
  if (refusal) {
    const listed = await glance(deps, owner, place);
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
    const { record, close } = await openObject(deps, owner, place, stored);
    await close();
    return { ...listed, document: record.head };
  } catch (error) {
    // An outage says nothing of this document: the page is asked for again.
    const disposition = error instanceof SealdexError ? dispositionOf(error.code).disposition : 'retry';
    if (!(error instanceof SealdexError) || disposition === 'retry' || disposition === 'pause') throw error;
    return { ...listed, code: error.code };
  }
}

/** Decrypts as far as the record's first line and compares it with the object's name. */
async function openObject(
  { ring }: ReaderDeps,
  owner: Tenant,
  place: DocumentPlace,
  stored: StoredObject,
): Promise<Reading> {
  try {
    const record = await readRecord(decryptStream(stored.body, unwrapFor(ring, owner)));
    const close = async (): Promise<void> => {
      // First: an item that is waited for would hold close() up for as long as S3 is silent.
      stored.discard();
      await record.close();
    };
    if (isRecordOf(record.head, place, stored)) return { record, close };
    await close();
    throw new SealdexError('OBJECT_MISMATCH');
  } catch (error) {
    stored.discard();
    throw error;
  }
}

const isRecordOf = (head: RecordHead, place: DocumentPlace, stored: StoredObject): boolean =>
  head.tenant === place.tenant &&
  head.corpus === place.corpus &&
  objectName(head.id) === place.object &&
  head.revision === stateOf(stored).revision;

function partsOf({ parts }: RecordReading, close: () => Promise<void>): AsyncIterable<RecordItem> {
  const next = async (): Promise<IteratorResult<RecordItem, undefined>> => {
    try {
      return (await parts.next()) as IteratorResult<RecordItem, undefined>;
    } catch (error) {
      await close();
      throw error;
    }
  };
  const leave = async (): Promise<IteratorResult<RecordItem, undefined>> => {
    await close();
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}
