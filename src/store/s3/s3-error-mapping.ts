// What an error of S3 means, by the table of s3-errors.ts. Nothing here sends a request.
// Classified by name and status only: messages name buckets and keys, and change.
import { SealdexError } from '../../runtime/errors.ts';
import { StoreError, type StoreErrorKind } from '../store.ts';
import { S3_ERROR_TABLE, S3_SENTENCES } from './s3-errors.ts';

const { failed, conflict, missing, refused, credentials } = S3_ERROR_TABLE;

/** S3 says no to us or to the request. Whether that is the platform's fault or one job's, a canary decides. */
const REFUSALS = new Set(refused.names);

/** Answers of 4xx that pass by themselves: too slow, too many, or another write at the same time. */
const PASSING_NAMES = new Set([...failed.names, ...conflict.names]);
const PASSING_STATUS = new Set([...failed.statuses, ...conflict.statuses]);

const CREDENTIALS = new Set(credentials.names);

interface S3Error {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

export const statusOf = (error: unknown): number | undefined =>
  (error as S3Error | undefined)?.$metadata?.httpStatusCode;

/** There is no such object. A HEAD of a bucket that is not there looks the same; the PUT or GET beside it names it. */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && missing.names.includes(error.name) && missing.statuses.includes(statusOf(error) ?? 0);

/** Names are the server's text, so only what looks like a name goes on into log lines and metric labels. */
const NAME = /^[A-Za-z][A-Za-z0-9._]{0,63}$/;

/** What a HEAD is refused with: it has no body, so S3 cannot say more than a status. */
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

/** Node and undici name a fault in the network by its code: the name is just `Error`. */
function networkNameOf(name: string, code: unknown): string {
  if (typeof code !== 'string' || !NAME.test(code)) return name;
  if (/^UND_ERR_.*TIMEOUT$/.test(code)) return 'TimeoutError';
  return name === 'Error' || name === 'Unknown' ? code : name;
}

/** Any error of a request to S3 as StoreError, or `PLATFORM_CREDENTIALS` when there are none, named by its reason. */
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
  // A request that S3 will never take must not come back for ever as if S3 had been down.
  const isLasting = status >= 400 && status < 500 && !PASSING_STATUS.has(status) && !PASSING_NAMES.has(reason);
  return isLasting ? 'refused' : 'failed';
}
