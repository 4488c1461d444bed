// Opens the original file of a document and decrypts it.
import { readOriginal, type OriginalHead as KeptHead, type OriginalReading } from '../documents/original.ts';
import { decryptStream } from '../envelope/message.ts';
import { SealdexError } from '../runtime/errors.ts';
import { objectName } from '../runtime/names.ts';
import { headDocument, type DocumentPlace } from '../store/documents.ts';
import { getOriginal } from '../store/originals.ts';
import { stateOf } from '../store/revisions.ts';
import { findPlace, rejectOlder, type DocumentName, type ReaderDeps } from './resolve-document.ts';
import { gatedBytes, gatedItems, watchGates, type EnsureOpen } from './gated-stream.ts';

/** File name, detected MIME type, size in bytes, and revision of the document. */
export type OriginalHead = Pick<KeptHead, 'filename' | 'contentType' | 'bytes' | 'revision'>;

/** An original file being read. Disposing of it closes its connection. */
export interface OpenOriginal extends AsyncDisposable {
  /** Name, type and size of the file. */
  readonly original: OriginalHead;
  /** Bytes of the file; read them like `OpenDocument.parts`. */
  readonly body: AsyncIterable<Uint8Array>;
}

const isOf = ({ head }: OriginalReading, place: DocumentPlace, revision: number): boolean =>
  head.tenant === place.tenant &&
  head.corpus === place.corpus &&
  objectName(head.id) === place.object &&
  head.revision === revision;

/** @throws SealdexError as `Reader.original` */
export async function openOriginal(deps: ReaderDeps, name: DocumentName): Promise<OpenOriginal> {
  const { owner, place, minRevision } = await findPlace(deps, name);
  // The original of a replaced or deleted document is removed a moment later.
  const document = await headDocument(deps.store, place);
  if (document) rejectOlder(document, minRevision);
  const stored = document && !stateOf(document).isDeleted ? await getOriginal(deps.store, place) : undefined;
  if (!document || !stored || stateOf(stored).revision !== stateOf(document).revision) {
    stored?.discard();
    if (!document || stateOf(document).isDeleted) throw new SealdexError('NOT_FOUND');
    const message =
      'No original is stored for the document. To keep the files of later uploads: sealdex tenants put T --keep-originals yes';
    throw new SealdexError('NOT_FOUND', message);
  }
  try {
    const { ensureOpen, unwrap } = watchGates(deps, owner);
    const bytes = gatedBytes(stored.body, ensureOpen);
    const reading = await readOriginal(decryptStream(bytes, unwrap));
    const close = async (): Promise<void> => {
      stored.discard();
      await reading[Symbol.asyncDispose]();
    };
    if (isOf(reading, place, stateOf(stored).revision)) return opened(reading, ensureOpen, close);
    await close();
    throw new SealdexError('OBJECT_MISMATCH');
  } catch (error) {
    stored.discard();
    throw error;
  }
}

function opened({ head, body }: OriginalReading, ensureOpen: EnsureOpen, close: () => Promise<void>): OpenOriginal {
  const { filename, contentType, bytes, revision } = head;
  const original = { filename, contentType, bytes, revision };
  return { original, body: gatedItems(body, ensureOpen, close), [Symbol.asyncDispose]: close };
}
