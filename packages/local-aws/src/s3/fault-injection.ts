// Faults that a test can set on the S3 emulator, and the errors of S3.
import { FaultBook } from '../fault-injection.ts';

export interface S3Call {
  readonly method: string;
  readonly bucket: string;
  /** Key of the object, prefix of the listing, or name of the bucket setting. */
  readonly key: string;
  readonly kind: S3Kind;
  /** Present if the request names a version of an object. */
  readonly isOfVersion?: true;
}

export type S3Kind = 'object' | 'list' | 'versions' | 'uploads' | 'setting' | 'bucket' | 'upload' | 'part' | 'batch';

export interface S3Match {
  readonly method?: string;
  readonly kind?: S3Kind;
  /** Prefix of the key. */
  readonly prefix?: string;
}

export type S3Fault =
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message?: string }
  /** Does not respond until cleared; the request is then executed unless the connection has closed. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'latency'; readonly ms: number }
  /** Executes the request, then closes the connection without a response. */
  | { readonly kind: 'lostResponse' }
  /** Ignores If-Match and If-None-Match. */
  | { readonly kind: 'ignoreConditions' };

export type S3Faults = Pick<FaultBook<S3Call, S3Match, S3Fault>, 'set' | 'clear'>;

const error = (status: number, code: string, message: string): Extract<S3Fault, { kind: 'error' }> =>
  Object.freeze({ kind: 'error', status, code, message });

/** Errors of S3, for `faults.set`. */
export const S3_ERRORS = Object.freeze({
  slowDown: error(503, 'SlowDown', 'Please reduce your request rate.'),
  internal: error(500, 'InternalError', 'We encountered an internal error. Please try again.'),
  accessDenied: error(403, 'AccessDenied', 'Access Denied'),
  noSuchBucket: error(404, 'NoSuchBucket', 'The specified bucket does not exist'),
  conflict: error(
    409,
    'ConditionalRequestConflict',
    'The conditional request cannot succeed due to a conflicting operation against this resource.',
  ),
  expiredToken: error(400, 'ExpiredToken', 'The provided token has expired.'),
  requestTimeout: error(
    400,
    'RequestTimeout',
    'Your socket connection to the server was not read from or written to within the timeout period.',
  ),
});

export const s3FaultBook = (): FaultBook<S3Call, S3Match, S3Fault> =>
  new FaultBook((match, call) => {
    if (match.method !== undefined && match.method !== call.method) return false;
    if (match.kind !== undefined && match.kind !== call.kind) return false;
    return match.prefix === undefined || call.key.startsWith(match.prefix);
  });
