// Types of the two shapes of a document, and the limits from settings. Field names are those of the Vectara v2 indexing API, so
// that its requests are accepted unchanged.

/** The settings that limit a document; Config contains them. */
export interface DocumentLimits {
  /** Maximum length of the text of one part, in UTF-16 units. */
  readonly partChars: number;
  /** All metadata of one document, including sections and parts, as UTF-8 JSON in bytes. */
  readonly metadataBytes: number;
  /** One document as UTF-8 JSON in bytes. */
  readonly documentBytes: number;
}

/**
 * Any JSON object; its keys and values are content. Integers keep their digits: a `bigint` is accepted, and an integer
 * beyond ±(2^53 − 1) is read as one.
 */
export type Metadata = { readonly [key: string]: unknown };

/** Names to finite numbers; an integer that a double cannot hold exactly is rejected. */
export type CustomDimensions = { readonly [name: string]: number };

/** Has exactly one of the four values. */
export interface Cell {
  /** A text. */
  readonly text_value?: string;
  /** An integer from -(2^53 - 1) to 2^53 - 1; a larger one would lose digits. */
  readonly int_value?: number;
  /** A finite number. */
  readonly float_value?: number;
  /** A Boolean. */
  readonly bool_value?: boolean;
  /** Number of columns that the cell covers. */
  readonly colspan?: number;
  /** Number of rows that the cell covers. */
  readonly rowspan?: number;
}

/** A table of a document. */
export interface Table {
  /** Id of the table in the document. */
  readonly id?: string;
  /** Title of the table. */
  readonly title?: string;
  /** Description of the table. */
  readonly description?: string;
  /** Header rows and rows, each a list of cells. */
  readonly data?: {
    readonly headers?: readonly (readonly Cell[])[];
    readonly rows?: readonly (readonly Cell[])[];
  };
}

/** An image of a document. */
export interface Image {
  /** Id of the image in the document. */
  readonly id?: string;
  /** Title of the image. */
  readonly title?: string;
  /** Caption of the image. */
  readonly caption?: string;
  /** Description of the image. */
  readonly description?: string;
  /** `data` is base64 with padding; `mime_type` is the type of the image. */
  readonly image_data: { readonly data: string; readonly mime_type: string };
}

/** Splits a section's text into parts; by default one part per sentence. */
export type ChunkingStrategy =
  | { readonly type: 'sentence_chunking_strategy' }
  | { readonly type: 'max_chars_chunking_strategy'; readonly max_chars_per_chunk: number };

/** A section of a structured document. Without text it needs sections or tables. */
export interface Section {
  /** int32. The default is the section's 1-based number in document order. */
  readonly id?: number;
  /** Title; it becomes a part of its own. */
  readonly title?: string;
  /** Text, split into parts by the chunking strategy. */
  readonly text?: string;
  /** Metadata of every part of the section. */
  readonly metadata?: Metadata;
  /** Tables of the section. */
  readonly tables?: readonly Table[];
  /** Images of the section. */
  readonly images?: readonly Image[];
  /** Nested sections, at most 32 levels. */
  readonly sections?: readonly Section[];
}

/** A document in sections, which sealdex splits into parts. */
export interface StructuredDocument {
  /** May be absent in JSON if the shape is clear. */
  readonly type: 'structured';
  /** 1 to 1,024 Unicode characters. */
  readonly id: string;
  /** Title of the document. */
  readonly title?: string;
  /** Description of the document. */
  readonly description?: string;
  /** Metadata of the document. */
  readonly metadata?: Metadata;
  /** Custom dimensions of the document. */
  readonly custom_dimensions?: CustomDimensions;
  /** One part per sentence by default. */
  readonly chunking_strategy?: ChunkingStrategy;
  /** The content of the document. */
  readonly sections: readonly Section[];
}

/** A part of a core document, stored as given. */
export interface CorePart {
  /** Text of the part, at most SEALDEX_PART_CHARS UTF-16 units. */
  readonly text: string;
  /** Metadata of the part. */
  readonly metadata?: Metadata;
  /** Context of the part. */
  readonly context?: string;
  /** Id of a table; not checked. */
  readonly table_id?: string;
  /** Id of an image; not checked. */
  readonly image_id?: string;
  /** Custom dimensions of the part. */
  readonly custom_dimensions?: CustomDimensions;
}

/** A document in parts made by the caller. */
export interface CoreDocument {
  /** May be absent in JSON if the shape is clear. */
  readonly type: 'core';
  /** 1 to 1,024 Unicode characters. */
  readonly id: string;
  /** Metadata of the document. */
  readonly metadata?: Metadata;
  /** Tables of the document. */
  readonly tables?: readonly Table[];
  /** Images of the document. */
  readonly images?: readonly Image[];
  /** The parts in their order. */
  readonly document_parts: readonly CorePart[];
}

/** A document to index, in the shapes of the Vectara v2 indexing API. */
export type IndexDocument = StructuredDocument | CoreDocument;

/** The extracted content of a file. */
export interface FileDocument extends Omit<StructuredDocument, 'type'> {
  readonly type: 'file';
  readonly source: FileSource;
}

/** The file from which a document was extracted. */
export interface FileSource {
  /** File name as uploaded. */
  readonly filename: string;
  /** Detected MIME type. */
  readonly contentType: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
}
