// The settings table: name, unit, default, description and reader of every setting.
// Reads no environment variables; config.ts does.
import { availableParallelism } from 'node:os';
import { QUEUE, WHEN_KEY_SHUT } from './names.ts';
import {
  duration,
  flag,
  int,
  ipAddress,
  keyArn,
  keyArns,
  matching,
  notEmpty,
  oneOf,
  redisUrl,
  size,
  url,
} from './setting-readers.ts';

/** A required setting has no default; an optional one without a value has `null`. */
export interface Setting<As extends string, T> {
  /** Its name in Config. */
  readonly as: As;
  /** As the text of a value. */
  readonly byDefault: string | null | undefined;
  /** Type of the value: `duration`, `size`, `jobs`, ... */
  readonly type: string;
  readonly description: string;
  /** Converts the text to the value. @throws Error whose message states what the value must be */
  readonly read: (text: string) => T;
}

function setting<const As extends string, T>(
  as: As,
  byDefault: string | undefined,
  type: string,
  description: string,
  read: (text: string) => T,
): Setting<As, T> {
  return Object.freeze({ as, byDefault, type, description, read });
}

const optional = <const As extends string, T>(
  as: As,
  type: string,
  description: string,
  read: (text: string) => T,
): Setting<As, T | undefined> => Object.freeze({ as, byDefault: null, type, description, read });

/** The settings table (contract). A test compares the table in docs with it. */
export const SETTINGS = Object.freeze({
  REDIS_URL: setting(
    'redisUrl',
    undefined,
    'URL',
    'URL of the Redis (6.2 or later) or Valkey server that holds the queues',
    redisUrl,
  ),
  SEALDEX_BUCKET: setting(
    'bucket',
    undefined,
    'name',
    'S3 bucket for documents, intake content and tenant configuration',
    matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of an S3 bucket'),
  ),
  SEALDEX_PLATFORM_KEY_ARN: setting(
    'platformKeyArn',
    undefined,
    'ARN',
    'KMS key for tenants that have no key of their own',
    keyArn,
  ),
  SEALDEX_PLATFORM_FORMER_KEY_ARNS: setting(
    'platformFormerKeyArns',
    '',
    'comma-separated ARNs',
    'previous platform keys, used only to decrypt',
    keyArns,
  ),
  AWS_REGION: setting(
    'region',
    'us-west-2',
    'region',
    'AWS region of the bucket and the KMS keys',
    matching(/^[a-z0-9-]{1,40}$/, 'the name of an AWS region'),
  ),
  AWS_ENDPOINT_URL_S3: optional('s3Endpoint', 'URL', 'custom S3 endpoint', url('http://', 'https://')),
  AWS_ENDPOINT_URL_KMS: optional('kmsEndpoint', 'URL', 'custom KMS endpoint', url('http://', 'https://')),
  AWS_ENDPOINT_URL_STS: optional('stsEndpoint', 'URL', 'custom STS endpoint', url('http://', 'https://')),
  AWS_ACCESS_KEY_ID: optional(
    'accessKeyId',
    'id',
    "AWS access key; if unset, the AWS SDK's default credential chain is used",
    notEmpty,
  ),
  AWS_SECRET_ACCESS_KEY: optional('secretAccessKey', 'secret', 'secret for AWS_ACCESS_KEY_ID', notEmpty),
  AWS_SESSION_TOKEN: optional('sessionToken', 'secret', 'session token for temporary credentials', notEmpty),
  SEALDEX_S3_FORCE_PATH_STYLE: setting(
    's3ForcePathStyle',
    'false',
    'true, false',
    'use path-style S3 URLs, as MinIO and emulators require',
    flag,
  ),
  SEALDEX_QUEUE: setting(
    'queue',
    'main',
    'name',
    'name of this installation, part of every Redis key; a tenant must use exactly one installation',
    matching(QUEUE, '1 to 50 letters, digits, _ or -'),
  ),
  SEALDEX_CONCURRENCY: setting('concurrency', '32', 'jobs', 'maximum concurrent index jobs per process', int(1, 1000)),
  SEALDEX_UPLOAD_CONCURRENCY: setting(
    'uploadConcurrency',
    'cores',
    'jobs',
    'maximum concurrent upload jobs per process, each in its own child process; cores: one per CPU core',
    (text) => (text === 'cores' ? availableParallelism() : int(1, 256)(text)),
  ),
  SEALDEX_IN_FLIGHT_BYTES: setting(
    'inFlightBytes',
    '64MiB',
    'size',
    'memory budget for content in progress; a document counts as four times its size. Files have a separate budget of twice this value',
    size('1MiB', '64GiB'),
  ),
  SEALDEX_INLINE_BYTES: setting(
    'inlineBytes',
    '4KiB',
    'size',
    'largest content stored inside the job in Redis; larger content goes to S3. 0: always S3, with an empty object for a deletion',
    size('0', '1MiB'),
  ),
  SEALDEX_PORT: setting(
    'port',
    '9464',
    'port',
    'worker HTTP port for /livez, /readyz and /metrics; 0: any free port',
    int(0, 65_535),
  ),
  SEALDEX_HOST: optional(
    'host',
    'IP address',
    'IP address on which the worker listens on SEALDEX_PORT. If unset: all interfaces, so that probes from other hosts work',
    ipAddress,
  ),
  SEALDEX_LOG_LEVEL: setting(
    'logLevel',
    'info',
    'level',
    'minimum log level: fatal, error, warn, info, debug, trace or silent',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  ),
  SEALDEX_IDEMPOTENCY_MS: setting(
    'idempotencyMs',
    '1d',
    'duration',
    'time an idempotency key is remembered',
    duration('1m', '30d'),
  ),
  SEALDEX_STATUS_MS: setting(
    'statusMs',
    '1h',
    'duration',
    'time the status of a finished job stays available',
    duration('1s', '30d'),
  ),
  SEALDEX_DRAIN_MS: setting(
    'drainMs',
    '15s',
    'duration',
    'after SIGTERM, time allowed for running jobs to finish before they return to the queue',
    duration('0', '1h'),
  ),
  SEALDEX_STOP_MS: setting(
    'stopMs',
    '25s',
    'duration',
    'after SIGTERM, time until the process exits unconditionally; must exceed SEALDEX_DRAIN_MS',
    duration('100ms', '1h'),
  ),
  SEALDEX_PARKED_MAX_MS: setting(
    'parkedMaxMs',
    '30d',
    'duration',
    'maximum time a job stays parked before it becomes a dead letter',
    duration('1m', '366d'),
  ),
  SEALDEX_PROBE_MIN_MS: setting(
    'probeMinMs',
    '30s',
    'duration',
    'delay before the first probe of an unusable KMS key; doubles after each failed probe',
    duration('100ms', '1h'),
  ),
  SEALDEX_PROBE_MAX_MS: setting(
    'probeMaxMs',
    '15m',
    'duration',
    'maximum delay between probes; one third of it during the first day',
    duration('100ms', '1d'),
  ),
  SEALDEX_KEY_CHECK_MS: setting(
    'keyCheckMs',
    '5m',
    'duration',
    'interval of the revocation check, which re-verifies cached data keys with KMS. 0: disabled, a revocation takes effect when the cached key expires (at most 1h)',
    duration('0', '1h'),
  ),
  SEALDEX_WHEN_KEY_SHUT: optional(
    'whenKeyShut',
    'park, refuse',
    'default of --when-key-shut for a tenant that gets a KMS key of its own',
    oneOf(...WHEN_KEY_SHUT),
  ),
  SEALDEX_TENANT_BACKLOG_JOBS: setting(
    'tenantBacklogJobs',
    '100000',
    'jobs',
    'maximum waiting, parked and dead jobs per tenant, together',
    int(1, 1_000_000_000),
  ),
  SEALDEX_TENANT_BACKLOG_BYTES: setting(
    'tenantBacklogBytes',
    '1GiB',
    'size',
    'maximum Redis memory for those jobs',
    size('1MiB', '1024GiB'),
  ),
  SEALDEX_LETTER_MAX_MS: setting(
    'letterMaxMs',
    '90d',
    'duration',
    'time a dead letter and its content are kept',
    duration('1m', '3660d'),
  ),
  SEALDEX_INTAKE_SWEEP_MS: setting(
    'intakeSweepMs',
    '14d',
    'duration',
    'age after which intake content without a job is deleted',
    duration('1h', '366d'),
  ),
  SEALDEX_FILE_BYTES: setting('fileBytes', '10MiB', 'size', 'maximum size of an uploaded file', size('1KiB', '256MiB')),
  SEALDEX_EXTRACT_MS: setting(
    'extractMs',
    '1m',
    'duration',
    'time limit for extracting one file',
    duration('1s', '4m'),
  ),
  SEALDEX_EXTRACT_HEAP_BYTES: setting(
    'extractHeapBytes',
    '512MiB',
    'size',
    'heap limit for extracting one file',
    size('64MiB', '16GiB'),
  ),
  SEALDEX_PART_CHARS: setting(
    'partChars',
    '16384',
    'UTF-16 units',
    'maximum text length of one part',
    int(100, 1_000_000),
  ),
  SEALDEX_METADATA_BYTES: setting(
    'metadataBytes',
    '1MiB',
    'size',
    'maximum metadata size of one document, including its parts',
    size('1KiB', '64MiB'),
  ),
  SEALDEX_DOCUMENT_BYTES: setting(
    'documentBytes',
    '32MiB',
    'size',
    'maximum size of one document as JSON',
    size('1KiB', '256MiB'),
  ),
  SEALDEX_AUDIT_LOG: optional(
    'auditLog',
    'path, stdout',
    "destination of the audit log, one line per use of a tenant's KMS key and per tenant change; with stdout, CLI commands write it to standard error. If unset: stdout for the command line, no audit log for the API",
    matching(/^(?:stdout|\/.*[^/])$/, 'stdout or the absolute path of a file'),
  ),
});
