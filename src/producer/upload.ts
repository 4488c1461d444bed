// Checks requests to upload a file, like request.ts. Reading the bytes is part of file-body.ts.
import type { Readable } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';
import { checkFileFacts, type FileFacts } from '../documents/file.ts';
import { checkDocumentId, type ChunkingStrategy, type DocumentLimits, type Metadata } from '../documents/shapes.ts';
import { SealdexError } from '../runtime/errors.ts';
import { fieldsOf } from '../runtime/known-fields.ts';
import { checkName } from '../runtime/names.ts';
import { checkBody, discardBody } from './file-body.ts';
import { checkIdempotencyKey, checkIfExists, invalid, readable, type CheckedUpload } from './request.ts';

/** Request to upload one file. */
export interface UploadRequest {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Name of the corpus. */
  readonly corpus: string;
  /** 1 to 1,024 Unicode characters. Never used as a path. */
  readonly filename: string;
  /** MIME type of up to 255 printable ASCII characters. The detected type of the file takes precedence. */
  readonly contentType?: string | undefined;
  /** The file, at least one byte. A stream is read to its end, or destroyed if the request is rejected. */
  readonly body: Readable | Uint8Array;
  /** Length of a stream in bytes. With it the stream is sent as it arrives; without it the file is held in memory. */
  readonly length?: number | undefined;
  /** Id of the document; the file name by default. */
  readonly documentId?: string | undefined;
  /** Takes precedence over the metadata of the file. */
  readonly metadata?: Metadata | undefined;
  /** As in a structured document. */
  readonly chunkingStrategy?: ChunkingStrategy | undefined;
  /** As in an index request. */
  readonly ifExists?: 'replace' | 'reject' | undefined;
  /** As in an index request; index and upload requests do not share keys. */
  readonly idempotencyKey?: string | undefined;
}

export interface UploadLimits extends DocumentLimits {
  readonly fileBytes: number;
}

const FIELDS = [
  'tenant',
  'corpus',
  'filename',
  'contentType',
  'body',
  'length',
  'documentId',
  'metadata',
  'chunkingStrategy',
  'ifExists',
  'idempotencyKey',
] as const;

/** Copies of free-form fields, within the limits of a document. */
const checkExtras = (
  { metadata, chunkingStrategy }: { readonly metadata?: unknown; readonly chunkingStrategy?: unknown },
  limits: DocumentLimits,
): FileFacts => ({
  ...readable('metadata', () => checkFileFacts({ metadata }, limits)),
  ...withLocalName(() => readable('chunking_strategy', () => checkFileFacts({ chunkingStrategy }, limits))),
});

/** Destroys the stream of an invalid request. @throws SealdexError `DOCUMENT_INVALID` and `FILE_TOO_LARGE`, with `field` */
export function checkUpload(input: unknown, limits: UploadLimits, clock: Clock): CheckedUpload {
  let body: unknown;
  try {
    const given = readable('request', () => {
      body = (input as { body?: unknown } | null | undefined)?.body;
      return { ...fieldsOf(input, FIELDS), body };
    });
    const filename = checkDocumentId(given.filename, 'filename');
    return {
      kind: 'upload',
      tenant: checkName(given.tenant, 'tenant'),
      corpus: checkName(given.corpus, 'corpus'),
      documentId: given.documentId === undefined ? filename : checkDocumentId(given.documentId, 'documentId'),
      ifExists: checkIfExists(given.ifExists),
      idempotencyKey: checkIdempotencyKey(given.idempotencyKey),
      about: { filename, ...checkContentType(given.contentType), ...checkExtras(given, limits) },
      file: checkBody(body, given.length, limits.fileBytes, clock),
      discard: () => discardBody(body),
    };
  } catch (error) {
    discardBody(body);
    throw error;
  }
}

function checkContentType(type: unknown): { contentType?: string } {
  if (type === undefined) return {};
  if (typeof type === 'string' && /^[ -~]{1,255}$/.test(type)) return { contentType: type };
  throw invalid('contentType', 'must be 1 to 255 printable ASCII characters');
}

/** Renames `chunking_strategy` of the API in errors to the name used here. */
function withLocalName<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof SealdexError) || error.field === undefined) throw error;
    const renamed = (text: string): string => text.replace(/^chunking_strategy/, 'chunkingStrategy');
    throw new SealdexError(error.code, renamed(error.message), { field: renamed(error.field) });
  }
}
