// Input and output of the readers: a file, and its sections and metadata. Types only.

/** A file: its bytes, name and declared type. */
export interface FileInput {
  readonly bytes: Buffer;
  /** The extension is a hint for text files, and for archives that do not name their type. May be empty. */
  readonly filename: string;
  /** MIME type given by the sender, with or without `charset`: a hint for text files. */
  readonly contentType?: string | undefined;
}

/** A JSON object. */
export type Metadata = { readonly [key: string]: unknown };

/** Has a title, text or sections. */
export interface Section {
  readonly title?: string;
  readonly text?: string;
  readonly metadata?: Metadata;
  /** At most 32 levels. */
  readonly sections?: readonly Section[];
}

export interface Extracted {
  /** MIME type of the file, detected from its content. */
  readonly contentType: string;
  readonly title?: string;
  /** Found in the file: author, dates, language, page count, mail headers. */
  readonly metadata: Metadata;
  /** In reading order: headings, slides, pages, messages. */
  readonly sections: readonly Section[];
}

/**
 * Reads one format. `readInner` reads a file inside of this one, one level deeper.
 * @throws FileError
 */
export type ReadFormat = (file: FileInput, readInner: ReadInner) => Promise<Extracted>;

export type ReadInner = (file: FileInput) => Promise<Extracted>;
