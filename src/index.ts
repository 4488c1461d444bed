// What the package exports: an export list only.
export { createProducer, createReader, type Settings } from './app/app.ts';
export { SealdexError, type Code, type Disposition } from './runtime/errors.ts';
export type {
  DeleteRequest,
  EnqueueResult,
  IndexRequest,
  JobState,
  JobStatus,
  Producer,
  UploadRequest,
} from './producer/producer.ts';
export type {
  DocumentHead,
  DocumentName,
  ListedDocument,
  ListRequest,
  OpenDocument,
  OpenOriginal,
  OriginalHead,
  Reader,
} from './reader/reader.ts';
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
