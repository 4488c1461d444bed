// Protocol between worker and extraction process: requests, responses, and their maximum sizes.
import type { DocumentLimits, ChunkingStrategy, Metadata } from '../documents/shapes.ts';
import { recordBytesLimit } from '../documents/record.ts';
import type { FrameBounds } from './framing.ts';

/** The file's document, and the request fields of the file. */
export interface FilePlace {
  readonly tenant: string;
  readonly corpus: string;
  readonly id: string;
  readonly revision: number;
  readonly metadata?: Metadata | undefined;
  readonly chunkingStrategy?: ChunkingStrategy | undefined;
}

/** Header of a request; its body is the file. */
export interface ExtractRequest {
  readonly filename: string;
  readonly contentType?: string | undefined;
  readonly place: FilePlace;
  readonly limits: DocumentLimits;
}

/** Header of a response: first that reading has started, then the record as body, or the reason why there is none. */
export type ExtractResponse =
  | { readonly is: 'begun' }
  | { readonly is: 'record'; readonly contentType: string }
  | { readonly is: 'refused'; readonly reason: string }
  | { readonly is: 'unsupported'; readonly found?: string }
  | { readonly is: 'failed' };

/** Exit code of an extraction process that ends for a reason other than the requested file. */
export const NOT_THIS_FILE = 17;

const MIB = 1_048_576;

/** Maximum size of a request under any settings: metadata of 64 MiB, a file of 256 MiB. */
export const REQUEST_BOUNDS: FrameBounds = Object.freeze({ headerBytes: 65 * MIB, bodyBytes: 256 * MIB });

export const responseBounds = (limits: DocumentLimits): FrameBounds => ({
  headerBytes: 4096,
  bodyBytes: recordBytesLimit(limits),
});
