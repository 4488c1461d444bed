// What the package exports: an export list only.
export {
  createOperator,
  createProducer,
  createReader,
  startWorker,
  type OpenOptions,
  type OperatorOptions,
  type RunningWorker,
  type Settings,
  type WorkerOptions,
} from './app/app.ts';
export type {
  AuditRecord,
  AuditSink,
  GateChange,
  GateFacts,
  KeyChanged,
  KeyCheck,
  DeadLetter,
  LetterFilter as DeadLetterFilter,
  Log as Logger,
  MetricsRegistry,
  ParkedJob,
  ProbeAnswer,
  ReencryptionProgress,
  Replayed,
  ShownJob,
  Status,
  TenantFile,
} from './app/app.ts';
export { CODES, SealdexError, type Code, type Disposition } from './runtime/errors.ts';
export { SETTINGS } from './runtime/settings.ts';
export type { Operator, QueueStatus } from './operator/operator.ts';
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
