// Names of tenants, corpora, plans, options and jobs: their format and check, and the object name of a document. Document ids are
// free text and not checked here.
import { createHash } from 'node:crypto';
import { SealdexError } from './errors.ts';

/** Tenants and corpora: 1 to 50 of these characters, which are safe in S3 keys and Redis keys. */
export const NAME = /^[a-zA-Z0-9_=-]{1,50}$/;

/** @throws SealdexError `DOCUMENT_INVALID` naming the field. */
export function checkName(value: unknown, field: 'tenant' | 'corpus'): string {
  if (typeof value === 'string' && NAME.test(value)) return value;
  throw new SealdexError('DOCUMENT_INVALID', `${field} must be 1 to 50 letters, digits, _, = or -.`, { field });
}

export const PLANS = ['free', 'pro', 'enterprise'] as const;
/** Plan of a tenant. Only `pro` and `enterprise` include a KMS key of the tenant's own. */
export type Plan = (typeof PLANS)[number];

export const ORIGINS_TO_ALLOW = Object.freeze(['EXTERNAL', 'EXTERNAL_KEY_STORE'] as const);
/** Origin of a KMS key whose material is outside KMS. A tenant may have such a key only if an operator allows it. */
export type OriginToAllow = (typeof ORIGINS_TO_ALLOW)[number];

export const WHEN_KEY_SHUT = ['park', 'refuse'] as const;
/** Effect on content that arrives while the tenant's KMS key is unusable: it waits under the platform key, or is rejected. */
export type WhenKeyShut = (typeof WHEN_KEY_SHUT)[number];

export const QUEUE_NAMES = ['index', 'upload'] as const;
/** BullMQ's queues of an installation: `upload` has the jobs of files, `index` all others. */
export type QueueName = (typeof QUEUE_NAMES)[number];

/** Maximum length of the reason of an operator stop. */
export const REASON_CHARS = 300;

/** `j` and 32 hex digits. */
export const isJobId = (text: unknown): text is string => typeof text === 'string' && /^j[0-9a-f]{32}$/.test(text);

/** SEALDEX_QUEUE. */
export const QUEUE = /^[a-zA-Z0-9_-]{1,50}$/;

/** Last part of the name of a job's content in S3. */
export const INTAKE_ID = /^[0-9a-f]{16}$/;

/** Result of `objectName`. */
export const OBJECT_NAME = /^[0-9a-f]{64}$/;

/** Name of a document in S3 and in the queue: the SHA-256 of its id, in hex. It does not hide an id that can be guessed. */
export const objectName = (documentId: string): string => createHash('sha256').update(documentId, 'utf8').digest('hex');

/** Used instead of the ARN of a KMS key for tenants without a key of their own. */
export const PLATFORM = 'platform';
