// What reading a file makes of it: sections and metadata, in the shapes of documents. Types only; each format has a file of
// its own, and which format a file has is found in detect.ts.
import type { Metadata, Section } from '../../../src/documents/shapes.ts';

/** A file on its way in: all of its bytes, and what its sender says of it. */
export interface FileInput {
  readonly bytes: Buffer;
  readonly filename: string;
  readonly contentType?: string | undefined;
}

export interface Extracted {
  /** What the file is, by its content: a MIME type. */
  readonly contentType: string;
  readonly title?: string;
  /** Found in the file: author, dates, language, page count, mail headers. */
  readonly metadata: Metadata;
  /** In reading order: headings, slides, pages, messages. Every section has text, a title or sections. */
  readonly sections: readonly Section[];
}

/**
 * Reads one format. `readInner` reads a file that is inside of this one, one level deeper.
 * @throws SealdexError `FILE_...` with a reason of reasons.ts
 */
export type ReadFormat = (file: FileInput, readInner: ReadInner) => Promise<Extracted>;

export type ReadInner = (file: FileInput) => Promise<Extracted>;
