// The reader: decrypts stored documents for a caller, record by record, and lists a corpus.
// Checks that an object holds the document that its name promises. Writes nothing.
import type { Clock } from './clock.ts';
import { checkDocumentId } from './documents/shapes.ts';
import { readRecord, type RecordHead, type RecordItem, type RecordReading } from './documents/record.ts';
import { decryptStream } from './envelope/message.ts';
import { SealdexError, type Code } from './errors.ts';
import type { KeyRing } from './keys/key-ring.ts';
import { messageKey } from './keys/message-key.ts';
import { checkName } from './names.ts';
import { getDocument, headDocument, listDocuments, objectName, stateOf } from './store/documents.ts';
import type { Store, StoredObject } from './store/s3.ts';
import type { Tenant, Tenants } from './tenants.ts';

export interface DocumentName {
  readonly tenant: string;
  readonly corpus: string;
  readonly id: string;
}

/** Line 1 of the record: what the document says of itself, without its text. */
export type DocumentHead = RecordHead;

export interface OpenDocument {
  readonly document: DocumentHead;
  /** Parts, then tables, then images, in the record's order. Read it to the end or leave the loop. */
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
  /** @throws SealdexError `NOT_FOUND`, `OBJECT_MISMATCH`, `OBJECT_TAMPERED`, `OBJECT_UNREADABLE`, those of keys and store */
  metadata(name: DocumentName): Promise<DocumentHead>;
  open(name: DocumentName): Promise<OpenDocument>;
  list(request: ListRequest): Promise<{ documents: ListedDocument[]; next?: string }>;
}

export interface ReaderDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
}

const LIST_AT_ONCE = 8;

export function createReaderFrom(deps: ReaderDeps): Omit<Reader, typeof Symbol.asyncDispose> {
  const { store, tenants } = deps;

  async function find({ tenant, corpus, id }: DocumentName): Promise<RecordReading> {
    checkName(tenant, 'tenant');
    checkName(corpus, 'corpus');
    checkDocumentId(id);
    const owner = await tenants.get(tenant);
    const reading = await openObject(deps, owner, corpus, objectName(id));
    if (!reading) throw new SealdexError('NOT_FOUND');
    return reading;
  }

  return {
    async metadata(name) {
      const reading = await find(name);
      await reading[Symbol.asyncDispose]();
      return reading.head;
    },

    async open(name) {
      const reading = await find(name);
      return { document: reading.head, parts: typed(reading.parts) };
    },

    async list({ tenant, corpus, after, limit = 100, metadata = false }) {
      checkName(tenant, 'tenant');
      checkName(corpus, 'corpus');
      if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
        throw new SealdexError('DOCUMENT_INVALID', 'limit must be 1 to 1000.', { field: 'limit' });
      const owner = await tenants.get(tenant);
      const page = await listDocuments(store, { tenant, corpus, limit, ...(after === undefined ? {} : { after }) });
      const documents: ListedDocument[] = [];
      for (let from = 0; from < page.objects.length; from += LIST_AT_ONCE) {
        const some = page.objects.slice(from, from + LIST_AT_ONCE);
        const facts = await Promise.all(
          some.map(({ object, bytes }) => describe(deps, owner, corpus, object, bytes, metadata)),
        );
        documents.push(...facts.filter((fact) => fact !== undefined));
      }
      return { documents, ...(page.next === undefined ? {} : { next: page.next }) };
    },
  };
}

/** undefined: removed between the listing and the look. */
async function describe(
  deps: ReaderDeps,
  owner: Tenant,
  corpus: string,
  object: string,
  bytes: number,
  metadata: boolean,
): Promise<ListedDocument | undefined> {
  const facts = await headDocument(deps.store, { tenant: owner.tenant, corpus, object });
  if (!facts) return undefined;
  const { revision, isDeleted } = stateOf(facts);
  const listed = { object, revision, bytes, isDeleted };
  if (!metadata || isDeleted) return listed;
  try {
    const reading = await openObject(deps, owner, corpus, object);
    if (!reading) return listed;
    await reading[Symbol.asyncDispose]();
    return { ...listed, document: reading.head };
  } catch (error) {
    if (error instanceof SealdexError) return { ...listed, code: error.code };
    throw error;
  }
}

/** Decrypts as far as the record's first line and compares it with the object's name. undefined: no such document. */
async function openObject(
  { store, ring }: ReaderDeps,
  owner: Tenant,
  corpus: string,
  object: string,
): Promise<RecordReading | undefined> {
  const stored = await getDocument(store, { tenant: owner.tenant, corpus, object });
  if (!stored) return undefined;
  if (stateOf(stored).isDeleted) {
    stored.discard();
    return undefined;
  }
  try {
    const reading = await readRecord(decryptStream(stored.body, messageKey(ring, owner)));
    try {
      checkRecord(reading.head, owner.tenant, corpus, object, stored);
      return reading;
    } catch (error) {
      await reading[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    stored.discard();
    throw readFault(error);
  }
}

function checkRecord(head: RecordHead, tenant: string, corpus: string, object: string, stored: StoredObject): void {
  const isSame = head.tenant === tenant && head.corpus === corpus && objectName(head.id) === object;
  if (!isSame || head.revision !== stateOf(stored).revision) throw new SealdexError('OBJECT_MISMATCH');
}

async function* typed(parts: AsyncGenerator<RecordItem>): AsyncGenerator<RecordItem> {
  try {
    yield* parts;
  } catch (error) {
    throw readFault(error);
  }
}

/** Wrapped bytes that do not open mean a forged or damaged object here, as they mean tampered content in a job. */
function readFault(error: unknown): unknown {
  if (!(error instanceof SealdexError) || error.code !== 'CONTENT_TAMPERED') return error;
  return new SealdexError('OBJECT_TAMPERED', undefined, { reason: error.reason ?? 'wrapped-key', cause: error.cause });
}
