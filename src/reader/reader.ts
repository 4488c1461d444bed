// Reader: decrypts stored documents, item by item, and lists a corpus. Checks that an object contains the document of its name.
// Writes nothing.
import { withAuditContext } from '../runtime/audit-log.ts';
import { findDocument, type DocumentHead, type OpenDocument } from './open-document.ts';
import { listPage, type ListedDocument, type ListRequest } from './list.ts';
import { openOriginal, type OpenOriginal } from './original.ts';
import type { DocumentName, ReaderDeps } from './resolve-document.ts';

export type { DocumentHead, OpenDocument } from './open-document.ts';
export type { ListedDocument, ListRequest } from './list.ts';
export type { OpenOriginal, OriginalHead } from './original.ts';
export type { DocumentName, ReaderDeps } from './resolve-document.ts';

/**
 * Reads and lists stored documents. Disposing of it closes its connections; later calls throw `INTERNAL` with the reason `Closed`.
 */
export interface Reader extends AsyncDisposable {
  /**
   * Returns the head of the document without reading its text.
   * @throws SealdexError `NOT_FOUND`, `OBJECT_MISMATCH`, `OBJECT_TAMPERED`, `OBJECT_UNREADABLE`; `KEY_...` or `TENANT_PAUSED`
   * with `since`, immediately, while the tenant's current KMS key is unusable; `GATE_UNKNOWN` if the gate could not be read from
   * Redis for 5 s; `PERIOD_DENIED`; `KMS_...`, `STORE_FAILED`; `DOCUMENT_INVALID` with `field` for an invalid name
   */
  metadata(name: DocumentName): Promise<DocumentHead>;
  /** Opens a document. @throws as `metadata`; `parts` throws the same errors while it is read */
  open(name: DocumentName): Promise<OpenDocument>;
  /**
   * Opens the file from which a document was extracted, for tenants that keep originals.
   * @throws as `open`; also `NOT_FOUND` if there is none for the current document
   */
  original(name: DocumentName): Promise<OpenOriginal>;
  /**
   * Returns a page of a corpus in the order of the object names, deleted documents included.
   * @throws SealdexError `TENANT_UNKNOWN`, `STORE_FAILED`; with `metadata: true` also `KMS_...` and `GATE_UNKNOWN`. A problem
   * with one document or its KMS key is the `code` of its entry.
   */
  list(request: ListRequest): Promise<{ documents: ListedDocument[]; next?: string }>;
}

/** `ensureOpen` throws after the reader was closed. */
export function createReaderFrom(deps: ReaderDeps, ensureOpen: () => void): Omit<Reader, typeof Symbol.asyncDispose> {
  const reading = async <T>(work: () => Promise<T>): Promise<T> => {
    ensureOpen();
    return withAuditContext({ activity: 'read' }, work);
  };
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
