// Codes: what each error means, what happens to a job, and what to do. The error class is in errors.ts.
// Imports no KMS, S3, Redis or document code; the code that detects an error chooses its code.
import { dead, defer, none, park, pause, retry, type CodeRow } from './code-rows.ts';

export type { Disposition } from './code-rows.ts';

/** The code table (contract). A test compares the table in docs with it. */
export const CODES = Object.freeze({
  KEY_DISABLED: park(
    "the tenant's KMS key is disabled",
    'ask the tenant to enable the key; parked jobs resume automatically',
  ),
  KEY_PENDING_DELETION: park(
    "the tenant's KMS key is scheduled for deletion",
    'ask the tenant to cancel the deletion and then enable the key (cancelling alone leaves it disabled)',
  ),
  KEY_PENDING_IMPORT: park(
    'the KMS key has no key material: it expired or was deleted',
    'ask the tenant to re-import the same key material',
  ),
  KEY_UNAVAILABLE: park(
    'the custom key store that holds the KMS key is unreachable',
    'ask the tenant to reconnect the custom key store',
  ),
  KEY_DENIED: park(
    "KMS denied access to the tenant's key",
    "check the worker's IAM policy; if it allows the key, ask the tenant to restore the statements printed by sealdex keys policy --tenant TENANT --principal ROLE_ARN",
  ),
  KEY_NOT_FOUND: park('the KMS key does not exist', 'check the ARN and the region; a deleted key cannot be recovered'),
  KEY_BLOCKED: park(
    'an operator blocked the KMS key',
    'see the reason in sealdex keys list; to resume: sealdex keys unblock ARN',
  ),
  TENANT_PAUSED: park(
    'an operator paused the tenant',
    'see the reason in sealdex keys list; to resume: sealdex tenants resume T',
  ),
  KMS_THROTTLED: retry(
    75,
    0,
    'KMS is throttling requests from the sealdex AWS account',
    'try again (jobs are retried automatically); if it persists, request a higher KMS quota',
  ),
  KMS_FAILED: retry(
    69,
    0,
    'KMS returned an error or timed out',
    'try again (jobs are retried automatically); if it persists, check the network and the AWS Health Dashboard',
  ),
  STORE_FAILED: retry(
    69,
    0,
    'S3 returned an error or timed out',
    'try again (jobs are retried automatically); if it persists, check the network, the bucket policy and the AWS Health Dashboard',
  ),
  REDIS_FAILED: retry(
    69,
    0,
    'Redis returned an error or timed out',
    'check that Redis is running, has free memory, and matches REDIS_URL',
  ),
  DEADLINE: retry(69, 8, 'the job exceeded its deadline of 5m', 'check for slow S3 requests or a very large document'),
  INTERNAL: retry(70, 5, 'an unexpected error occurred', 'report a bug and include the log line'),
  JOB_NEWER: retry(
    75,
    0,
    'the job uses a format from a newer producer',
    'finish the rollout; upgrade workers before producers',
  ),
  TENANT_SLOTS_FULL: defer(
    "too many of the tenant's jobs are waiting for its KMS key or for S3",
    "no action needed, sealdex retries; if it persists, check the tenant's KMS key and S3",
  ),
  KMS_SLOTS_FULL: defer(
    'KMS is slow, and jobs of other tenants without a cached data key are waiting for it',
    'no action needed, sealdex retries; if it persists, check KMS throttling and the AWS Health Dashboard',
  ),
  MEMORY_BUDGET_FULL: defer(
    'the job waited 60s for memory that other jobs are using',
    'no action needed, sealdex retries; if it persists, raise SEALDEX_IN_FLIGHT_BYTES or add workers',
  ),
  REENCRYPTION_NOT_DUE: defer(
    'the re-encryption job is scheduled for later, or other jobs have priority',
    'no action needed, sealdex retries',
  ),
  STALLED: defer(
    'the worker that was processing the job crashed or froze',
    'no action needed, sealdex retries; if it persists, check the worker logs for crashes',
  ),
  PLATFORM_CREDENTIALS: pause(
    "AWS rejected the process's credentials",
    'renew the credentials or fix the IAM role of this process',
  ),
  PLATFORM_KEY: pause(
    'the platform KMS key cannot be used',
    "check SEALDEX_PLATFORM_KEY_ARN, the key's state and the IAM role's access to it",
  ),
  PLATFORM_DENIED: pause(
    "KMS denied access to many tenants' keys at the same time",
    "check the worker's IAM role and policy; the cause is not a tenant",
  ),
  PLATFORM_STORE: pause(
    'the S3 bucket cannot be read or written',
    "check SEALDEX_BUCKET and the IAM role's access to it",
  ),
  PLATFORM_TENANTS: pause(
    'a tenant configuration file in S3 is malformed or unreadable',
    'fix tenants/<tenant>.json in the bucket',
  ),
  JOB_INVALID: dead(
    'the queued job is malformed',
    'find the client that writes to the queue without the sealdex producer',
  ),
  DOCUMENT_INVALID: dead(
    'the document or request is invalid; the error names the field',
    'correct the field and resubmit',
  ),
  DOCUMENT_CONFLICT: dead(
    'the document already exists and the request has ifExists: reject',
    'no action needed; to overwrite, resubmit with ifExists: replace',
  ),
  TENANT_UNKNOWN: dead('the tenant does not exist', 'create it: sealdex tenants put T --plan P'),
  TENANT_KEY_INVALID: dead(
    "the tenant's KMS key setting is invalid",
    'set the full ARN of a symmetric encryption key; tenants on the free plan cannot have one',
  ),
  CONTENT_MISSING: dead("the job's content is missing from intake storage", 'submit the document again'),
  CONTENT_TAMPERED: dead(
    "the job's content failed authentication or belongs to another job",
    'find what else writes to Redis or intake/, then submit the document again',
  ),
  KEY_DESTROYED: dead(
    "the tenant's KMS key was permanently deleted",
    'attach a new key, then run sealdex dead replay --code KEY_DESTROYED; data encrypted under the old key is lost',
  ),
  PARKED_TOO_LONG: dead(
    'the job was parked for longer than SEALDEX_PARKED_MAX_MS',
    'when the key works again, run sealdex dead replay --code PARKED_TOO_LONG',
  ),
  STALLED_TOO_OFTEN: dead('the job repeatedly crashed or froze its worker', 'check the worker logs for crashes'),
  JOB_CANCELED: dead(
    'an operator canceled the job',
    'no action needed; to process the document after all, submit it again with a new idempotency key',
  ),
  FILE_UNSUPPORTED: dead('the file type is not supported', 'convert it to a type listed in docs/uploads.md'),
  FILE_UNREADABLE: dead('the file is encrypted or damaged', 'upload a complete copy without password protection'),
  FILE_TOO_LARGE: dead(
    'the file, or its uncompressed content, exceeds the size limit',
    'split the file, or raise SEALDEX_FILE_BYTES',
  ),
  FILE_TOO_COMPLEX: dead(
    'text extraction exceeded its time or memory limit',
    'split the file or save it in a simpler format',
  ),
  FILE_NO_TEXT: dead('the file contains no text', 'upload a version with a text layer; sealdex does not run OCR'),
  NOT_FOUND: none(66, 'the document does not exist', 'check the tenant, corpus and document id'),
  PERIOD_DENIED: dead(
    "the tenant's key policy denies the time period in which the content was encrypted",
    'no action needed; the content becomes readable if the tenant allows that period again',
    77,
  ),
  GATE_UNKNOWN: retry(
    75,
    0,
    "the state of the KMS key's gate could not be read from Redis for 5s",
    'try again (jobs are retried automatically); if it persists, check Redis',
  ),
  OBJECT_MISMATCH: none(
    65,
    'the object contains a different document than its key indicates',
    'find what copied objects within the bucket',
  ),
  OBJECT_TAMPERED: none(
    65,
    'the object failed authentication: it was modified after it was written',
    'restore the object from a backup, or submit the document again',
  ),
  OBJECT_UNREADABLE: none(
    65,
    'the object is not a valid sealdex message',
    'find what else writes to documents/ in the bucket',
  ),
  TENANT_BACKLOG_FULL: none(
    75,
    'the tenant has reached its limit of waiting, parked and dead jobs',
    "retry later, or replay or discard the tenant's dead letters",
  ),
  QUEUE_FULL: none(75, 'Redis has used 75% of its memory', 'retry later; add Redis memory or workers'),
  CLOCK_SKEW: none(
    75,
    "this host's clock differs from the Redis clock by more than 60s",
    'synchronize both clocks with NTP',
  ),
  IDEMPOTENCY_CONFLICT: none(
    65,
    'the idempotency key was already used for a different request',
    'use a new key for a different request',
  ),
  TENANT_CHANGED: none(
    75,
    'the tenant was changed concurrently',
    'review the tenant with sealdex tenants show T and try again',
  ),
  RECOVERY_RUNNING: none(75, 'another recovery is running', 'wait until it has ended, then run the command again'),
  CONFIG_INVALID: none(
    78,
    'a setting is invalid, or a resource it names is unusable',
    'correct the settings listed in the message',
  ),
} satisfies Record<string, CodeRow>);

/** Code of an error: a key of `CODES`. */
export type Code = keyof typeof CODES;

export const isCode = (text: string): text is Code => Object.hasOwn(CODES, text);

export const dispositionOf = (code: Code): CodeRow => CODES[code];
