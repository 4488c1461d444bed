// A request to enqueue, as a caller gave it -> checked, its document as bytes. The first look at foreign data: getters may
// throw, proxies may lie, so everything is read once and copied. Stores nothing and asks nobody.
import { parseDocument, type DocumentLimits, type IndexDocument } from '../documents/shapes.ts';
import { SealdexError } from '../errors.ts';
import { checkName } from '../names.ts';

export interface IndexRequest {
  readonly tenant: string;
  readonly corpus: string;
  /** A structured or core document; checked before anything is stored. */
  readonly document: unknown;
  /** The same key for the same tenant and corpus is one job for 24 hours (a setting). 1 to 256 UTF-16 units. */
  readonly idempotencyKey?: string | undefined;
  /** `replace` (default) or `reject`: a document that came from another job makes this one a dead letter. */
  readonly ifExists?: 'replace' | 'reject' | undefined;
}

/** A request without a fault. Holds all that goes on from here; the caller's object is not looked at again. */
export interface CheckedRequest {
  readonly tenant: string;
  readonly corpus: string;
  readonly documentId: string;
  readonly ifExists: 'replace' | 'reject';
  readonly idempotencyKey: string | undefined;
  /** The document's JSON, UTF-8. */
  readonly body: Buffer;
}

const FIELDS: ReadonlySet<string> = new Set<keyof IndexRequest>([
  'tenant',
  'corpus',
  'document',
  'idempotencyKey',
  'ifExists',
]);
const IDEMPOTENCY_KEY_UNITS = 256;

/** @throws SealdexError `DOCUMENT_INVALID` with `field`: a path in the document, or a field of the request. */
export function checkRequest(input: unknown, limits: DocumentLimits): CheckedRequest {
  const { tenant, corpus, idempotencyKey, ifExists, document: given } = readable('request', () => fieldsOf(input));
  const document = readable('document', () => parseDocument(given, limits));
  return {
    tenant: checkName(tenant, 'tenant'),
    corpus: checkName(corpus, 'corpus'),
    idempotencyKey: checkIdempotencyKey(idempotencyKey),
    ifExists: checkIfExists(ifExists),
    documentId: document.id,
    body: bytesOf(document),
  };
}

type Fields = { readonly [name in keyof IndexRequest]?: unknown };

function fieldsOf(input: unknown): Fields {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw invalid('request', 'must be an object with tenant, corpus and document');
  }
  for (const key of Object.keys(input)) {
    // A misspelt idempotencyKey that is passed over would be noticed when it is too late.
    if (!FIELDS.has(key))
      throw invalid(nameable(key) ? key : 'request', 'is not a known field of a request; remove it');
  }
  const { tenant, corpus, document, idempotencyKey, ifExists } = input as Fields;
  return { tenant, corpus, document, idempotencyKey, ifExists };
}

/** Short and plain: anything else may be content. */
const nameable = (key: string): boolean => /^[A-Za-z0-9_.-]{1,64}$/.test(key);

/** What a caller's getter or proxy throws is the caller's, and may quote content: it ends here. */
export function readable<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SealdexError) throw error;
    throw invalid(field, 'cannot be read: it must be plain data, without getters or proxies that throw');
  }
}

function checkIdempotencyKey(key: unknown): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key === 'string' && key !== '' && key.length <= IDEMPOTENCY_KEY_UNITS && key.isWellFormed()) return key;
  throw invalid('idempotencyKey', `must be a string of 1 to ${IDEMPOTENCY_KEY_UNITS} characters`);
}

function checkIfExists(choice: unknown): 'replace' | 'reject' {
  if (choice === undefined) return 'replace';
  if (choice === 'replace' || choice === 'reject') return choice;
  throw invalid('ifExists', 'must be "replace" or "reject"');
}

const bytesOf = (document: IndexDocument): Buffer => Buffer.from(JSON.stringify(document));

export const invalid = (field: string, rule: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${rule}.`, { field });
