// The two shapes of a document as types, with the bounds that settings put on one. Names are those of the Vectara v2
// indexing API, so that its requests go through unchanged. Holds no code.

/** The settings that bound a document; Config has them. */
export interface DocumentLimits {
  /** Longest text of one part, UTF-16 units. */
  readonly partChars: number;
  /** All metadata of one document, its sections' and parts' included, as UTF-8 JSON. */
  readonly metadataBytes: number;
  /** One document as UTF-8 JSON. */
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
  readonly text_value?: string;
  /** At most 2^53 - 1 either way: a larger one would be rounded in silence. */
  readonly int_value?: number;
  readonly float_value?: number;
  readonly bool_value?: boolean;
  readonly colspan?: number;
  readonly rowspan?: number;
}

export interface Table {
  readonly id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly data?: {
    readonly headers?: readonly (readonly Cell[])[];
    readonly rows?: readonly (readonly Cell[])[];
  };
}

export interface Image {
  readonly id?: string;
  readonly title?: string;
  readonly caption?: string;
  readonly description?: string;
  /** `data` is base64 with its padding. */
  readonly image_data: { readonly data: string; readonly mime_type: string };
}

/** How a section's text becomes parts; without one a part per sentence. */
export type ChunkingStrategy =
  | { readonly type: 'sentence_chunking_strategy' }
  | { readonly type: 'max_chars_chunking_strategy'; readonly max_chars_per_chunk: number };

/** May lack text when it has sections or tables; one with nothing in it at all is refused. */
export interface Section {
  /** int32. Without one the section goes by its 1-based number in document order. */
  readonly id?: number;
  readonly title?: string;
  readonly text?: string;
  readonly metadata?: Metadata;
  readonly tables?: readonly Table[];
  readonly images?: readonly Image[];
  /** At most 32 levels. */
  readonly sections?: readonly Section[];
}

export interface StructuredDocument {
  readonly type: 'structured';
  readonly id: string;
  readonly title?: string;
  readonly description?: string;
  readonly metadata?: Metadata;
  readonly custom_dimensions?: CustomDimensions;
  readonly chunking_strategy?: ChunkingStrategy;
  readonly sections: readonly Section[];
}

/** A part of a core document is stored as it came. Ids of tables and images are not looked up. */
export interface CorePart {
  readonly text: string;
  readonly metadata?: Metadata;
  readonly context?: string;
  readonly table_id?: string;
  readonly image_id?: string;
  readonly custom_dimensions?: CustomDimensions;
}

export interface CoreDocument {
  readonly type: 'core';
  readonly id: string;
  readonly metadata?: Metadata;
  readonly tables?: readonly Table[];
  readonly images?: readonly Image[];
  readonly document_parts: readonly CorePart[];
}

export type IndexDocument = StructuredDocument | CoreDocument;

/** What a file says, once it was read. */
export interface FileDocument extends Omit<StructuredDocument, 'type'> {
  readonly type: 'file';
  readonly source: FileSource;
}

/** `contentType` is what the file was found to be, a MIME type. */
export interface FileSource {
  readonly filename: string;
  readonly contentType: string;
  readonly bytes: number;
}
