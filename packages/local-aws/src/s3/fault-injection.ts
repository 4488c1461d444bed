// The faults that a test can set on the S3 emulator, and the errors that S3 really answers with.
import { FaultBook } from '../fault-injection.ts';

export interface S3Call {
  readonly method: string;
  readonly bucket: string;
  /** The key, the prefix of any listing, or what is asked of a bucket's settings. */
  readonly key: string;
  readonly kind: S3Kind;
  /** Names one version of an object. */
  readonly isOfVersion?: true;
}

export type S3Kind = 'object' | 'list' | 'versions' | 'uploads' | 'setting' | 'bucket' | 'upload' | 'part' | 'batch';

export interface S3Match {
  readonly method?: string;
  readonly kind?: S3Kind;
  /** The key begins with this. */
  readonly prefix?: string;
}

export type S3Fault =
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message?: string }
  /** Answers never; goes on when cleared, does nothing when the connection closes first. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'latency'; readonly ms: number }
  /** The call is carried out, then the connection is cut before the answer. */
  | { readonly kind: 'lostResponse' }
  /** A store that takes no notice of If-Match and If-None-Match. */
  | { readonly kind: 'ignoreConditions' };

export type S3Faults = Pick<FaultBook<S3Call, S3Match, S3Fault>, 'set' | 'clear'>;

const error = (status: number, code: string, message: string): Extract<S3Fault, { kind: 'error' }> =>
  Object.freeze({ kind: 'error', status, code, message });

/** S3's own answers, to be given to `faults.set`. */
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
