// Checks requests to enqueue, and converts the document to bytes. Input is untrusted: getters may throw and proxies may change,
// so everything is read once and copied. Stores nothing and makes no calls.
import { checkDocumentId, parseDocument, type DocumentLimits, type IndexDocument } from '../documents/shapes.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { ContentHeader } from '../intake/intake.ts';
import { fieldsOf } from '../runtime/known-fields.ts';
import { checkName } from '../runtime/names.ts';
import type { FileBody } from './file-body.ts';

/** Request to index one document. */
export interface IndexRequest {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Name of the corpus. */
  readonly corpus: string;
  /** A structured or core document (`IndexDocument`); checked before anything is stored. */
  readonly document: unknown;
  /**
   * Within a tenant and corpus, the same request with the same key is one job for 24 hours (a setting). Another request with the
   * key is `IDEMPOTENCY_CONFLICT`. 1 to 256 UTF-16 units.
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * `replace` (default), or `reject`: if another job stored the document before, this job becomes a dead letter
   * (`DOCUMENT_CONFLICT`).
   */
  readonly ifExists?: 'replace' | 'reject' | undefined;
}

/** Request to delete one document. */
export interface DeleteRequest {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Name of the corpus. */
  readonly corpus: string;
  /** Id of the document, which may not exist. */
  readonly id: string;
  /** As in an index request; index and delete requests do not share keys. */
  readonly idempotencyKey?: string | undefined;
}

interface Checked {
  readonly tenant: string;
  readonly corpus: string;
  readonly documentId: string;
  readonly idempotencyKey: string | undefined;
}

/** A valid index request. Contains everything that later steps need; the caller's object is not read again. */
export interface CheckedIndex extends Checked {
  readonly kind: 'index';
  readonly ifExists: 'replace' | 'reject';
  /** The document's JSON, UTF-8. */
  readonly body: Buffer;
}

export interface CheckedDelete extends Checked {
  readonly kind: 'delete';
}

export interface CheckedUpload extends Checked {
  readonly kind: 'upload';
  readonly ifExists: 'replace' | 'reject';
  /** Request fields of the file. */
  readonly about: Pick<ContentHeader, 'filename' | 'contentType' | 'metadata' | 'chunkingStrategy'>;
  readonly file: FileBody;
  /** Ends the caller's stream; no effect if it was read to its end. */
  discard(): void;
}

export type CheckedRequest = CheckedIndex | CheckedDelete | CheckedUpload;

const INDEX_FIELDS = ['tenant', 'corpus', 'document', 'idempotencyKey', 'ifExists'] as const;
const DELETE_FIELDS = ['tenant', 'corpus', 'id', 'idempotencyKey'] as const;
const IDEMPOTENCY_KEY_UNITS = 256;

const bytesOf = (document: IndexDocument): Buffer => Buffer.from(JSON.stringify(document));

/** @throws SealdexError `DOCUMENT_INVALID` with `field`: a path in the document, or a field of the request */
export function checkRequest(input: unknown, limits: DocumentLimits): CheckedIndex {
  const {
    tenant,
    corpus,
    idempotencyKey,
    ifExists,
    document: given,
  } = readable('request', () => fieldsOf(input, INDEX_FIELDS));
  const document = readable('document', () => parseDocument(given, limits));
  return {
    kind: 'index',
    tenant: checkName(tenant, 'tenant'),
    corpus: checkName(corpus, 'corpus'),
    idempotencyKey: checkIdempotencyKey(idempotencyKey),
    ifExists: checkIfExists(ifExists),
    documentId: document.id,
    body: bytesOf(document),
  };
}

/** @throws SealdexError `DOCUMENT_INVALID` with `field`: a field of the request */
export function checkDelete(input: unknown): CheckedDelete {
  const { tenant, corpus, id, idempotencyKey } = readable('request', () => fieldsOf(input, DELETE_FIELDS));
  return {
    kind: 'delete',
    tenant: checkName(tenant, 'tenant'),
    corpus: checkName(corpus, 'corpus'),
    documentId: checkDocumentId(id),
    idempotencyKey: checkIdempotencyKey(idempotencyKey),
  };
}

export const invalid = (field: string, rule: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${rule}.`, { field });

/** Errors of a caller's getter or proxy may quote content, so they are not passed on. */
export function readable<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SealdexError) throw error;
    throw invalid(field, 'must be plain data; a getter or proxy threw an error');
  }
}

export function checkIdempotencyKey(key: unknown): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key === 'string' && key !== '' && key.length <= IDEMPOTENCY_KEY_UNITS && key.isWellFormed()) return key;
  throw invalid('idempotencyKey', `must be a string of 1 to ${IDEMPOTENCY_KEY_UNITS} characters`);
}

export function checkIfExists(choice: unknown): 'replace' | 'reject' {
  if (choice === undefined) return 'replace';
  if (choice === 'replace' || choice === 'reject') return choice;
  throw invalid('ifExists', 'must be "replace" or "reject"');
}
