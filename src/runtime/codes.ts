// The table of all codes: what each means, what becomes of a job, what an operator does. The error itself is errors.ts.
// Knows nothing of KMS, S3, Redis or documents; whoever meets a fault picks the code.

/** What a worker does with a job that met a code; `none` never meets a job: it is an answer to a caller. */
export type Disposition = 'park' | 'retry' | 'defer' | 'pause' | 'dead' | 'none';

interface Row {
  readonly disposition: Disposition;
  /**
   * For `retry`: how many attempts the job may spend on it; 0 spends none. Two are settled by what else is known: a store
   * that refuses while the canary is good spends one of 8, and a newer job ends after an hour.
   */
  readonly attempts?: number;
  readonly exit: number;
  readonly description: string;
  readonly remedy: string;
}

const row = (disposition: Disposition, exit: number, description: string, remedy: string, attempts?: number): Row =>
  Object.freeze({
    disposition,
    exit,
    description,
    remedy,
    ...(attempts === undefined ? {} : { attempts }),
  });

/** The code table (contract). A test compares the README's table with it. */
export const CODES = Object.freeze({
  KEY_DISABLED: row(
    'park',
    75,
    "the tenant's KMS key is disabled",
    'the tenant enables the key; jobs go on by themselves',
  ),
  KEY_PENDING_DELETION: row(
    'park',
    75,
    'the KMS key is scheduled for deletion',
    'the tenant cancels the deletion and then enables the key',
  ),
  KEY_PENDING_IMPORT: row(
    'park',
    75,
    "the KMS key's imported material is gone",
    'the tenant imports the key material again',
  ),
  KEY_UNAVAILABLE: row(
    'park',
    75,
    "the KMS key's custom key store is out of reach",
    'the tenant reconnects its key store',
  ),
  KEY_DENIED: row(
    'park',
    75,
    'KMS denies us the use of the key',
    'the tenant restores the grant in its key policy; check our own IAM policy too',
  ),
  KEY_NOT_FOUND: row(
    'park',
    75,
    'KMS knows no such key',
    'check the ARN and the region; a deleted key cannot be brought back',
  ),
  KEY_BLOCKED: row(
    'park',
    75,
    'the operator has blocked the KMS key',
    'sealdex keys list tells why; sealdex keys unblock ARN ends it',
  ),
  TENANT_PAUSED: row(
    'park',
    75,
    'the operator has paused the tenant',
    'sealdex keys list tells why; sealdex tenants resume T ends it',
  ),
  KMS_THROTTLED: row('retry', 75, 'KMS throttles our account', 'nothing; if it lasts, ask AWS for a higher quota', 0),
  KMS_FAILED: row(
    'retry',
    69,
    'KMS failed or did not answer in time',
    'nothing; if it lasts, check network and AWS status',
    0,
  ),
  STORE_FAILED: row(
    'retry',
    69,
    'S3 failed or did not answer in time',
    'nothing; if it lasts, check network, bucket policy and AWS status',
    0,
  ),
  REDIS_FAILED: row(
    'retry',
    69,
    'Redis failed or did not answer in time',
    'check that Redis runs, is not full, and that REDIS_URL is right',
    0,
  ),
  DEADLINE: row(
    'retry',
    69,
    'the job took longer than its deadline of 5 minutes',
    'look for a slow store or a very large document',
    8,
  ),
  INTERNAL: row('retry', 70, 'an error that nobody foresaw', 'report it with the log line that names it', 5),
  JOB_NEWER: row(
    'retry',
    75,
    'the job was written by a newer producer',
    'finish the deploy: workers first, producers after',
    0,
  ),
  TENANT_SLOTS_FULL: row(
    'defer',
    75,
    'as many jobs of the tenant as may wait for its KMS key or for S3 already do',
    "no action needed, sealdex retries; if it lasts, check the tenant's KMS key and S3",
  ),
  MEMORY_BUDGET_FULL: row(
    'defer',
    75,
    'the job waited 60 s for memory that other jobs use',
    'no action needed, sealdex retries; if it lasts, raise SEALDEX_IN_FLIGHT_BYTES or add workers',
  ),
  REENCRYPTION_NOT_DUE: row(
    'defer',
    75,
    'the re-encryption page starts later, or other jobs go first',
    'no action needed, sealdex retries',
  ),
  STALLED: row(
    'defer',
    75,
    'the worker that had the job died or froze',
    'no action needed, sealdex retries; if it lasts, look at the worker logs for crashes',
  ),
  PLATFORM_CREDENTIALS: row(
    'pause',
    69,
    'AWS refuses our credentials',
    'renew the credentials or the role of this process',
  ),
  PLATFORM_KEY: row(
    'pause',
    69,
    'the platform key cannot be used',
    'check SEALDEX_PLATFORM_KEY_ARN, its state and our IAM policy',
  ),
  PLATFORM_DENIED: row(
    'pause',
    69,
    'KMS denies us the keys of many tenants at once',
    'check our own IAM policy and role: no tenant is at fault',
  ),
  PLATFORM_STORE: row('pause', 69, 'the bucket cannot be used', 'check SEALDEX_BUCKET and our IAM policy for it'),
  PLATFORM_TENANTS: row(
    'pause',
    69,
    "a tenant's file in S3 cannot be read",
    'repair tenants/<tenant>.json in the bucket',
  ),
  JOB_INVALID: row(
    'dead',
    65,
    'the job in the queue has not the shape of a job',
    'find who enqueues past the producer',
  ),
  DOCUMENT_INVALID: row(
    'dead',
    65,
    'the document or the request has a fault; the field is named',
    'mend it and send it again',
  ),
  DOCUMENT_CONFLICT: row(
    'dead',
    65,
    'the document exists and the job said ifExists: reject',
    'nothing, or index it with ifExists: replace',
  ),
  TENANT_UNKNOWN: row('dead', 65, 'there is no such tenant', 'sealdex tenants put T --plan P makes it'),
  TENANT_KEY_INVALID: row(
    'dead',
    65,
    "the tenant's key setting is wrong",
    'give a full ARN of a symmetric KMS key; plan free has no key',
  ),
  CONTENT_MISSING: row('dead', 65, "the job's content is gone from intake", 'index the document again'),
  CONTENT_TAMPERED: row(
    'dead',
    65,
    "the job's content does not decrypt or does not match its job",
    'find who writes to Redis or intake; index the document again',
  ),
  KEY_DESTROYED: row(
    'dead',
    65,
    "the tenant's KMS key is gone for good",
    'attach a new key, then sealdex dead replay --code KEY_DESTROYED; what was under the old key is lost',
  ),
  PARKED_TOO_LONG: row(
    'dead',
    65,
    'the job was parked for longer than SEALDEX_PARKED_MAX_MS',
    'once the key works: sealdex dead replay --code PARKED_TOO_LONG',
  ),
  STALLED_TOO_OFTEN: row(
    'dead',
    65,
    'the job took its worker down again and again',
    'look at the worker logs for crashes',
  ),
  FILE_UNSUPPORTED: row(
    'dead',
    65,
    'the file is of a type that we do not read',
    'upload it as a type that docs/uploads.md lists',
  ),
  FILE_UNREADABLE: row('dead', 65, 'the file is encrypted or damaged', 'upload it whole and without a password'),
  FILE_TOO_LARGE: row(
    'dead',
    65,
    'the file, or what it unpacks to, is larger than it may be',
    'split it; SEALDEX_FILE_BYTES is the limit of a file',
  ),
  FILE_TOO_COMPLEX: row(
    'dead',
    65,
    'reading the file takes more time or memory than it may',
    'split it, or save it in a simpler form',
  ),
  FILE_NO_TEXT: row('dead', 65, 'the file holds no text', 'upload a version with text in it: scans are not read'),
  NOT_FOUND: row('none', 66, 'there is no such document', 'check tenant, corpus and id'),
  PERIOD_DENIED: row(
    'dead',
    77,
    'the tenant denies us the period that the content was encrypted in',
    'nothing; the tenant allows the period in its key policy again if it wants to',
  ),
  GATE_UNKNOWN: row(
    'retry',
    75,
    'whether the KMS key may be used could not be read from Redis for 5 s',
    'nothing; if it lasts, check Redis',
    0,
  ),
  OBJECT_MISMATCH: row(
    'none',
    65,
    'the object holds another document than its name says',
    'find who copied objects in the bucket',
  ),
  OBJECT_TAMPERED: row(
    'none',
    65,
    'the object was changed after it was written',
    'restore the object; index the document again',
  ),
  OBJECT_UNREADABLE: row(
    'none',
    65,
    'the object is no message that we can read',
    'check who writes to documents/ in the bucket',
  ),
  TENANT_BACKLOG_FULL: row(
    'none',
    75,
    'the tenant has as many jobs waiting, parked and dead as it may have',
    'send it again later; replay or discard its dead letters',
  ),
  QUEUE_FULL: row(
    'none',
    75,
    "Redis' memory is three quarters full",
    'send it again later; give Redis more memory, or add workers',
  ),
  CLOCK_SKEW: row(
    'none',
    75,
    "this machine's clock and Redis' clock are more than 60 s apart",
    'set both clocks by NTP',
  ),
  TENANT_CHANGED: row('none', 75, 'somebody else changed the tenant at the same time', 'look at it and try again'),
  CONFIG_INVALID: row('none', 78, 'a setting, or what it names, is wrong', 'mend what the message lists'),
} satisfies Record<string, Row>);

export type Code = keyof typeof CODES;

export const isCode = (text: string): text is Code => Object.hasOwn(CODES, text);

export const dispositionOf = (code: Code): Row => CODES[code];
