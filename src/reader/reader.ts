// The reader: decrypts stored documents for a caller, record by record, and lists a corpus.
// Checks that an object holds the document that its name promises. Writes nothing.
import { withAuditContext } from '../runtime/audit-log.ts';
import { findDocument, type DocumentHead, type OpenDocument } from './open-document.ts';
import { listPage, type ListedDocument, type ListRequest } from './list.ts';
import { openOriginal, type OpenOriginal } from './original.ts';
import type { DocumentName, ReaderDeps } from './resolve-document.ts';

export type { DocumentHead, OpenDocument } from './open-document.ts';
export type { ListedDocument, ListRequest } from './list.ts';
export type { OpenOriginal, OriginalHead } from './original.ts';
export type { DocumentName, ReaderDeps } from './resolve-document.ts';

/** Reads and lists stored documents. Disposing of it closes its connections. */
export interface Reader extends AsyncDisposable {
  /**
   * Head of the document; its text is not read.
   * @throws SealdexError `NOT_FOUND`, `OBJECT_MISMATCH`, `OBJECT_TAMPERED`, `OBJECT_UNREADABLE`; `KEY_...` or
   * `TENANT_PAUSED` with `since`, at once, while the tenant's current KMS key is unusable; `GATE_UNKNOWN` when that could not
   * be read from Redis for 5 s; `PERIOD_DENIED`; `KMS_...`, `STORE_FAILED`; `DOCUMENT_INVALID` with `field` for a name that cannot be
   */
  metadata(name: DocumentName): Promise<DocumentHead>;
  /** Opens a document. @throws as `metadata`; `parts` throws the same errors while it is read */
  open(name: DocumentName): Promise<OpenDocument>;
  /**
   * Opens the file from which a document was extracted, for tenants that keep originals.
   * @throws as `open`; `NOT_FOUND` too when there is none for the document as it is now
   */
  original(name: DocumentName): Promise<OpenOriginal>;
  /**
   * A page of a corpus in the order of the object names, deleted documents included.
   * @throws SealdexError `TENANT_UNKNOWN`, `STORE_FAILED`; with `metadata: true` `KMS_...` and `GATE_UNKNOWN` too; what is
   * wrong with one document, or with the KMS key that it is under, stands on its line as `code`
   */
  list(request: ListRequest): Promise<{ documents: ListedDocument[]; next?: string }>;
}

export function createReaderFrom(deps: ReaderDeps): Omit<Reader, typeof Symbol.asyncDispose> {
  const reading = <T>(work: () => Promise<T>): Promise<T> => withAuditContext({ activity: 'read' }, work);
  return {
    async metadata(name) {
      const { head, close } = await reading(() => findDocument(deps, name));
      await close();
      return head;
    },
    async open(name) {
      const { head, parts, close } = await reading(() => findDocument(deps, name));
      return { document: head, parts, [Symbol.asyncDispose]: close };
    },
    original: (name) => reading(() => openOriginal(deps, name)),
    list: (request) => reading(() => listPage(deps, request)),
  };
}
