// What a worker asks of an extractor and what comes back, and how large they may be.
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

/** The header of a question; its body is the file. */
export interface Question {
  readonly filename: string;
  readonly contentType?: string | undefined;
  readonly place: FilePlace;
  readonly limits: DocumentLimits;
}

/** The header of an answer: that the file is being read, then the record as body, or why there is none. */
export type Answer =
  | { readonly is: 'begun' }
  | { readonly is: 'record'; readonly contentType: string }
  | { readonly is: 'refused'; readonly reason: string }
  | { readonly is: 'unsupported'; readonly found?: string }
  | { readonly is: 'failed' };

/** The exit code of an extractor that ends for what is not the file's that it was asked for. */
export const NOT_THIS_FILE = 17;

const MIB = 1_048_576;

/** What no setting allows a question to pass: metadata of 64 MiB, a file of 256 MiB. */
export const QUESTION_BOUNDS: FrameBounds = Object.freeze({ headerBytes: 65 * MIB, bodyBytes: 256 * MIB });

export const answerBounds = (limits: DocumentLimits): FrameBounds => ({
  headerBytes: 4096,
  bodyBytes: recordBytesLimit(limits),
});
