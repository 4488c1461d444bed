// Opens one stored document: decrypts its record and compares it with the object's name.
import { readRecord, type RecordHead, type RecordItem } from '../documents/record.ts';
import { decryptStream } from '../envelope/message.ts';
import { SealdexError } from '../runtime/errors.ts';
import { objectName } from '../runtime/names.ts';
import { getDocument, type DocumentPlace } from '../store/documents.ts';
import { stateOf } from '../store/revisions.ts';
import type { StoredObject } from '../store/store.ts';
import type { Tenant } from '../tenants/tenants.ts';
import { findPlace, rejectOlder, type DocumentName, type ReaderDeps } from './resolve-document.ts';
import { gatedBytes, gatedItems, watchGates } from './gated-stream.ts';

/** The document without its parts, tables and images. */
export type DocumentHead = RecordHead;

/** A document being read. Disposing of it closes its connection. */
export interface OpenDocument extends AsyncDisposable {
  /** Head of the document. */
  readonly document: DocumentHead;
  /**
   * Parts, then tables, then images, in the record's order, each decrypted on demand. Read it to the end, leave the loop, or
   * dispose of the document: until then it holds a connection. A truncated or modified object, or a gate that shuts meanwhile, is
   * only detected at that point. Items before it must not be taken for the whole document.
   */
  readonly parts: AsyncIterable<RecordItem>;
}

/** A record being read. `close` releases its connection, in any state; it may be called twice. */
export interface Reading {
  readonly head: DocumentHead;
  readonly parts: AsyncIterable<RecordItem>;
  readonly close: () => Promise<void>;
}

/** @throws SealdexError as `Reader.metadata` */
export async function findDocument(deps: ReaderDeps, name: DocumentName): Promise<Reading> {
  const { owner, place, minRevision } = await findPlace(deps, name);
  const stored = await getDocument(deps.store, place);
  if (!stored) throw new SealdexError('NOT_FOUND');
  try {
    rejectOlder(stored, minRevision);
    if (stateOf(stored).isDeleted) throw new SealdexError('NOT_FOUND');
  } catch (error) {
    stored.discard();
    throw error;
  }
  return openObject(deps, owner, place, stored);
}

const isRecordOf = (head: RecordHead, place: DocumentPlace, stored: StoredObject): boolean =>
  head.tenant === place.tenant &&
  head.corpus === place.corpus &&
  objectName(head.id) === place.object &&
  head.revision === stateOf(stored).revision;

/** Decrypts the record's first line and compares it with the object's name. */
export async function openObject(
  deps: ReaderDeps,
  owner: Tenant,
  place: DocumentPlace,
  stored: StoredObject,
): Promise<Reading> {
  try {
    const { ensureOpen, unwrap } = watchGates(deps, owner);
    const bytes = gatedBytes(stored.body, ensureOpen);
    const record = await readRecord(decryptStream(bytes, unwrap));
    const close = async (): Promise<void> => {
      // First: otherwise close() would wait for an item as long as S3 is silent.
      stored.discard();
      await record.close();
    };
    if (isRecordOf(record.head, place, stored))
      return { head: record.head, parts: gatedItems(record.parts, ensureOpen, close), close };
    await close();
    throw new SealdexError('OBJECT_MISMATCH');
  } catch (error) {
    stored.discard();
    throw error;
  }
}
