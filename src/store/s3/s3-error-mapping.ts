// Maps S3 errors to SealdexError by the table of s3-errors.ts. Sends no request.
// Classified by name and status only: messages contain bucket names and keys, and AWS may change them.
import { SealdexError } from '../../runtime/errors.ts';
import { networkNameOf } from '../../runtime/fault.ts';
import { StoreError, type StoreErrorKind } from '../store.ts';
import { S3_ERROR_TABLE, S3_SENTENCES } from './s3-errors.ts';

const { failed, conflict, missing, refused, credentials } = S3_ERROR_TABLE;

/** S3 rejected the caller or the request. A canary decides if the cause is the platform or one job. */
const REFUSALS = new Set(refused.names);

/** Temporary 4xx responses: timeout, throttling, or a concurrent write. */
const TEMPORARY_NAMES = new Set([...failed.names, ...conflict.names]);
const TEMPORARY_STATUS = new Set([...failed.statuses, ...conflict.statuses]);

const CREDENTIALS = new Set(credentials.names);

interface S3Error {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

export const statusOf = (error: unknown): number | undefined =>
  (error as S3Error | undefined)?.$metadata?.httpStatusCode;

/** Returns true if the object does not exist. HEAD in a missing bucket gives the same error; PUT and GET give NoSuchBucket. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && missing.names.includes(error.name) && missing.statuses.includes(statusOf(error) ?? 0);

/** Names come from the server: only identifiers may reach log lines and metric labels. */
const NAME = /^[A-Za-z][A-Za-z0-9._]{0,63}$/;

/** For errors of HEAD: its response has no body, so the status is all there is. */
const NAMES_BY_STATUS: Readonly<Record<number, string>> = Object.freeze({
  301: 'PermanentRedirect',
  403: 'AccessDenied',
});

function nameOf(error: unknown): string {
  const { name, code } = (error ?? {}) as S3Error;
  const status = statusOf(error);
  const known = typeof name === 'string' && NAME.test(name) ? name : 'Unknown';
  if (status === undefined) return networkNameOf(known, code);
  return known === 'Unknown' || known === 'Forbidden' ? (NAMES_BY_STATUS[status] ?? `Http${status}`) : known;
}

/** Converts any error of an S3 request to StoreError, or to `PLATFORM_CREDENTIALS` if there are no credentials. */
export function storeFault(error: unknown): SealdexError {
  if (error instanceof SealdexError) return error;
  const reason = nameOf(error);
  const details = { cause: error, requestId: (error as S3Error | undefined)?.$metadata?.requestId };
  if (CREDENTIALS.has(reason)) return new SealdexError('PLATFORM_CREDENTIALS', undefined, { reason, ...details });
  const message = Object.hasOwn(S3_SENTENCES, reason) ? { message: S3_SENTENCES[reason]! } : {};
  return new StoreError(kindOf(reason, statusOf(error) ?? 0), reason, { ...message, ...details });
}

function kindOf(reason: string, status: number): StoreErrorKind {
  if (reason === 'AccessDenied') return 'denied';
  if (REFUSALS.has(reason)) return 'refused';
  if (status === 501 || reason === 'NotImplemented') return 'unsupported';
  // A request that S3 always rejects must not be retried forever as if S3 were down.
  const isLasting = status >= 400 && status < 500 && !TEMPORARY_STATUS.has(status) && !TEMPORARY_NAMES.has(reason);
  return isLasting ? 'refused' : 'failed';
}
