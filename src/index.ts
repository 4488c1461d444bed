// What the package exports: an export list only.
export { createProducer, createReader, type Settings } from './app.ts';
export { SealdexError, type Code, type Disposition } from './errors.ts';
export type {
  DeleteRequest,
  EnqueueResult,
  IndexRequest,
  JobState,
  JobStatus,
  Producer,
  UploadRequest,
} from './producer.ts';
export type {
  DocumentHead,
  DocumentName,
  ListedDocument,
  ListRequest,
  OpenDocument,
  OpenOriginal,
  OriginalHead,
  Reader,
} from './reader.ts';
export type { Image, Part, RecordItem, Table } from './documents/record.ts';
export type {
  Cell,
  ChunkingStrategy,
  CoreDocument,
  CorePart,
  CustomDimensions,
  IndexDocument,
  Metadata,
  Section,
  StructuredDocument,
} from './documents/shapes.ts';
