// What an error of S3 means: the table of S3 errors as data. Nothing here sends a request.
// Classified by name and status only: messages name buckets and keys, and change.
import { SealdexError } from '../errors.ts';

/** S3 says no to us or to the request. Whether that is the platform's fault or one job's, a canary decides. */
const REFUSALS = new Set([
  'AccessDenied',
  'NoSuchBucket',
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'RequestTimeTooSkewed',
]);

const CREDENTIALS = new Set(['CredentialsProviderError', 'TokenProviderError']);

interface S3Error {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

export const statusOf = (error: unknown): number | undefined =>
  (error as S3Error | undefined)?.$metadata?.httpStatusCode;

const nameOf = (error: unknown): string => {
  const name = (error as S3Error | undefined)?.name;
  // HEAD has no body, so the SDK can only make a name of the status.
  if (statusOf(error) === 403 && (name === undefined || name === 'Unknown' || name === '403' || name === 'Forbidden'))
    return 'AccessDenied';
  return name ?? 'Unknown';
};

/** Any error of a request to S3 as `STORE_FAILED` (or `PLATFORM_CREDENTIALS` when there are none), named by its reason. */
export function storeFault(error: unknown): SealdexError {
  if (error instanceof SealdexError) return error;
  const reason = nameOf(error);
  if (CREDENTIALS.has(reason)) return new SealdexError('PLATFORM_CREDENTIALS', undefined, { cause: error, reason });
  return new SealdexError('STORE_FAILED', undefined, { cause: error, reason });
}

/** Whether S3 refused, rather than failed: then a canary has to tell whose fault it is. */
export const isRefusal = (error: unknown): error is SealdexError =>
  error instanceof SealdexError &&
  error.code === 'STORE_FAILED' &&
  error.reason !== undefined &&
  REFUSALS.has(error.reason);
