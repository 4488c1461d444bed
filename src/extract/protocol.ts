// Protocol between worker and extractor: requests, responses, and their maximum sizes.
import type { DocumentLimits, ChunkingStrategy, Metadata } from '../documents/shapes.ts';
import { recordBytesLimit } from '../documents/record.ts';
import type { FrameBounds } from './framing.ts';

/** The file's document: where it belongs, and what its sender says of it. */
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

/** Header of a response: first that the file is being read, then the record as body, or why there is none. */
export type ExtractResponse =
  | { readonly is: 'begun' }
  | { readonly is: 'record'; readonly contentType: string }
  | { readonly is: 'refused'; readonly reason: string }
  | { readonly is: 'unsupported'; readonly found?: string }
  | { readonly is: 'failed' };

/** The exit code of an extractor that ends for what is not the file's that it was asked for. */
export const NOT_THIS_FILE = 17;

const MIB = 1_048_576;

/** Maximum of a request under any settings: metadata of 64 MiB, a file of 256 MiB. */
export const REQUEST_BOUNDS: FrameBounds = Object.freeze({ headerBytes: 65 * MIB, bodyBytes: 256 * MIB });

export const responseBounds = (limits: DocumentLimits): FrameBounds => ({
  headerBytes: 4096,
  bodyBytes: recordBytesLimit(limits),
});
