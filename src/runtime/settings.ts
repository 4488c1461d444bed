// The settings table: name, unit, default, description and reader of every setting.
// Reads no environment variables; config.ts does.
import { availableParallelism } from 'node:os';
import { flag, int, keyArn, keyArns, matching, notEmpty, oneOf, url } from './setting-readers.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const YEAR = 366 * DAY;
const MIB = 1_048_576;

/** A setting that must be given has no default; one that may be absent has `null`. */
export interface Setting<As extends string, T> {
  /** Its name in Config. */
  readonly as: As;
  readonly byDefault: string | null | undefined;
  readonly unit: string;
  readonly description: string;
  /** Turns the text into the value; throws an Error whose message says what the value must be. */
  readonly read: (text: string) => T;
}

function setting<const As extends string, T>(
  as: As,
  byDefault: string | undefined,
  unit: string,
  description: string,
  read: (text: string) => T,
): Setting<As, T> {
  return Object.freeze({ as, byDefault, unit, description, read });
}

const optional = <const As extends string, T>(
  as: As,
  unit: string,
  description: string,
  read: (text: string) => T,
): Setting<As, T | undefined> => Object.freeze({ as, byDefault: null, unit, description, read });

/** The settings table (contract). A test compares the README's table with it. */
export const SETTINGS = Object.freeze({
  REDIS_URL: setting(
    'redisUrl',
    undefined,
    'URL',
    'the Redis (>= 6.2) or Valkey that holds the queues',
    url('redis://', 'rediss://'),
  ),
  SEALDEX_BUCKET: setting(
    'bucket',
    undefined,
    'name',
    'the S3 bucket',
    matching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of an S3 bucket'),
  ),
  SEALDEX_PLATFORM_KEY_ARN: setting(
    'platformKeyArn',
    undefined,
    'ARN',
    'our own KMS key, for tenants without one',
    keyArn,
  ),
  SEALDEX_PLATFORM_FORMER_KEY_ARNS: setting(
    'platformFormerKeyArns',
    '',
    'ARNs, comma',
    'platform keys of the past, kept for reading',
    keyArns,
  ),
  AWS_REGION: setting(
    'region',
    'us-west-2',
    'region',
    'region of the bucket and of the KMS keys',
    matching(/^[a-z0-9-]{1,40}$/, 'the name of an AWS region'),
  ),
  AWS_ENDPOINT_URL_S3: optional('s3Endpoint', 'URL', 'another S3 endpoint than AWS', url('http://', 'https://')),
  AWS_ENDPOINT_URL_KMS: optional('kmsEndpoint', 'URL', 'another KMS endpoint than AWS', url('http://', 'https://')),
  AWS_ENDPOINT_URL_STS: optional('stsEndpoint', 'URL', 'another STS endpoint than AWS', url('http://', 'https://')),
  AWS_ACCESS_KEY_ID: optional('accessKeyId', 'id', "credentials; without them the SDK's own chain is asked", notEmpty),
  AWS_SECRET_ACCESS_KEY: optional('secretAccessKey', 'secret', 'goes with AWS_ACCESS_KEY_ID', notEmpty),
  AWS_SESSION_TOKEN: optional('sessionToken', 'secret', 'goes with temporary credentials', notEmpty),
  SEALDEX_S3_FORCE_PATH_STYLE: setting(
    's3ForcePathStyle',
    'false',
    'true, false',
    'put the bucket into the path (emulators, MinIO)',
    flag,
  ),
  SEALDEX_QUEUE: setting(
    'queue',
    'main',
    'name',
    'name of this installation in Redis; a tenant belongs to exactly one',
    matching(/^[a-zA-Z0-9_-]{1,50}$/, '1 to 50 letters, digits, _ or -'),
  ),
  SEALDEX_CONCURRENCY: setting('concurrency', '32', 'jobs', 'index jobs at once in a process', int(1, 1000)),
  SEALDEX_UPLOAD_CONCURRENCY: setting(
    'uploadConcurrency',
    'cores',
    'jobs',
    'upload jobs at once in a process, each in a child process of its own; cores: as many as the machine has',
    (text) => (text === 'cores' ? availableParallelism() : int(1, 256)(text)),
  ),
  SEALDEX_IN_FLIGHT_BYTES: setting(
    'inFlightBytes',
    String(64 * MIB),
    'bytes',
    'memory for the content that a process works on at once; a document counts four times its size, and files have twice as much beside',
    int(MIB, 64 * 1024 * MIB),
  ),
  SEALDEX_INLINE_BYTES: setting(
    'inlineBytes',
    '4096',
    'bytes',
    'content up to this size travels in Redis, larger in S3; 0: all in S3',
    int(0, MIB),
  ),
  SEALDEX_PORT: setting(
    'port',
    '9464',
    'port',
    '/livez, /readyz and /metrics of the worker; 0: any free one',
    int(0, 65_535),
  ),
  SEALDEX_LOG_LEVEL: setting(
    'logLevel',
    'info',
    'level',
    'fatal, error, warn, info, debug, trace or silent',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  ),
  SEALDEX_IDEMPOTENCY_MS: setting(
    'idempotencyMs',
    String(24 * HOUR),
    'ms',
    'how long an idempotency key is remembered',
    int(60_000, 30 * 24 * HOUR),
  ),
  SEALDEX_STATUS_MS: setting(
    'statusMs',
    String(HOUR),
    'ms',
    'how long a finished job can be asked for',
    int(1000, 30 * 24 * HOUR),
  ),
  SEALDEX_DRAIN_MS: setting(
    'drainMs',
    '15000',
    'ms',
    'at SIGTERM: how long jobs may finish before they are handed back',
    int(0, HOUR),
  ),
  SEALDEX_STOP_MS: setting(
    'stopMs',
    '25000',
    'ms',
    'at SIGTERM: when the process ends in any case; above SEALDEX_DRAIN_MS',
    int(100, HOUR),
  ),
  SEALDEX_PARKED_MAX_MS: setting(
    'parkedMaxMs',
    String(30 * DAY),
    'ms',
    'how long a job may be parked before it becomes a dead letter',
    int(60_000, YEAR),
  ),
  SEALDEX_PROBE_MIN_MS: setting(
    'probeMinMs',
    '30000',
    'ms',
    'how soon a KMS key that shut its gate is tried again; doubles from there',
    int(100, HOUR),
  ),
  SEALDEX_PROBE_MAX_MS: setting(
    'probeMaxMs',
    '900000',
    'ms',
    'the longest time between two tries; a third of it in the first day',
    int(100, DAY),
  ),
  SEALDEX_KEY_CHECK_MS: setting(
    'keyCheckMs',
    '300000',
    'ms',
    'how often KMS is asked again for keys in memory, so that a revocation is seen; 0: when their hour ends',
    int(0, HOUR),
  ),
  SEALDEX_TENANT_BACKLOG_JOBS: setting(
    'tenantBacklogJobs',
    '100000',
    'jobs',
    'jobs of one tenant that may wait, be parked and be dead letters together',
    int(1, 1_000_000_000),
  ),
  SEALDEX_TENANT_BACKLOG_BYTES: setting(
    'tenantBacklogBytes',
    String(1024 * MIB),
    'bytes',
    'Redis memory that those jobs may take',
    int(MIB, 1024 * 1024 * MIB),
  ),
  SEALDEX_LETTER_MAX_MS: setting(
    'letterMaxMs',
    String(90 * DAY),
    'ms',
    'how long a dead letter is kept, with its content',
    int(60_000, 10 * YEAR),
  ),
  SEALDEX_INTAKE_SWEEP_MS: setting(
    'intakeSweepMs',
    String(14 * DAY),
    'ms',
    'content in intake that is older and has no job any more is removed',
    int(HOUR, YEAR),
  ),
  SEALDEX_FILE_BYTES: setting('fileBytes', String(10 * MIB), 'bytes', 'one uploaded file', int(1024, 256 * MIB)),
  SEALDEX_EXTRACT_MS: setting('extractMs', '60000', 'ms', 'how long reading one file may take', int(1000, 240_000)),
  SEALDEX_EXTRACT_HEAP_BYTES: setting(
    'extractHeapBytes',
    String(512 * MIB),
    'bytes',
    'memory that reading one file may take',
    int(64 * MIB, 16 * 1024 * MIB),
  ),
  SEALDEX_PART_CHARS: setting('partChars', '16384', 'UTF-16 units', 'longest text of one part', int(100, 1_000_000)),
  SEALDEX_METADATA_BYTES: setting(
    'metadataBytes',
    String(MIB),
    'bytes',
    "all metadata of one document, its parts' included",
    int(1024, 64 * MIB),
  ),
  SEALDEX_DOCUMENT_BYTES: setting(
    'documentBytes',
    String(32 * MIB),
    'bytes',
    'one document as JSON',
    int(1024, 256 * MIB),
  ),
  SEALDEX_AUDIT_LOG: setting(
    'auditLog',
    'stdout',
    'path, stdout',
    "where a line is written for each use of a tenant's KMS key and each change of a tenant; commands take standard error for stdout",
    matching(/^(?:stdout|\/.*[^/])$/, 'stdout or the absolute path of a file'),
  ),
});
