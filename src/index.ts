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
  JobFilter,
  KeyChanged,
  KeyCheck,
  DeadLetter,
  Environment,
  LetterFilter as DeadLetterFilter,
  Log as Logger,
  MetricsRegistry,
  ParkedJob,
  ProbeAnswer,
  ReencryptionProgress,
  Replayed,
  SettingName,
  ShownJob,
  Status,
  TenantFile,
  UnfinishedJob,
  UnfinishedState,
  UnknownVariables,
} from './app/app.ts';
export { CODES, SealdexError, type Code, type Disposition, type ErrorDetails } from './runtime/errors.ts';
export { SETTINGS } from './runtime/settings.ts';
export type { OwnerBlocked } from './operator/block-key-tenants.ts';
export type { Canceled, CancelableJobs, CancelableKind, CancelFilter, CancelOptions } from './operator/cancel-jobs.ts';
export type { Discarded, DiscardOptions, ReplayOptions } from './operator/dead-letters.ts';
export type { WhoActs } from './operator/gate-actions.ts';
export type { GateFilter, GateList, GateState, TenantParked } from './operator/gates.ts';
export type { CheckStep as KeyCheckStep, KeyCheckOptions, KeyStep as KeyCheckStepName } from './operator/key-check.ts';
export type { KeyTenant } from './operator/key-tenants.ts';
export type {
  Counts as TenantDataCounts,
  DeleteOptions as TenantDeletionOptions,
  DeletionResult as TenantDeletionResult,
  DeletionStep as TenantDeletionStep,
  Exported,
  ExportOptions,
  UnlistableKind,
  Waiting as ExportWaiting,
} from './operator/offboarding.ts';
export type { Heartbeat, JobData, Operator, QueueName, QueueStatus, Role as ProcessRole } from './operator/operator.ts';
export type { IntakeSweepOptions, IntakeSwept, TenantOrphans } from './operator/intake.ts';
export type { Recovered, RecoverOptions, RecoveryCounts } from './operator/recovery.ts';
export type { SetKeyOptions } from './operator/set-key.ts';
export type { ListedTenant } from './operator/tenant-files.ts';
export type {
  AttachOptions,
  OriginToAllow,
  PassCounts as ReencryptionCounts,
  Plan,
  PlatformKeyContent,
  PutTenant,
  TenantChange,
  WhenKeyShut,
} from './operator/tenant-operator.ts';
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
export type { FileSource, Image, Part, RecordItem, Table } from './documents/record.ts';
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
