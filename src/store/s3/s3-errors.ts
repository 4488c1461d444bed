// Table of S3 errors: the codes of each, and the actions of the operator and the tenant.
// Data only: s3-error-mapping.ts reads it, and a test compares docs/errors.md with it.
import type { Code } from '../../runtime/errors.ts';

interface RowOutcome {
  /** Undefined if the error has no effect on the job. */
  readonly code?: Code;
  /** The limit of attempts, if it differs from that of the code. */
  readonly attempts?: number;
  /** The condition, as text for docs/errors.md. */
  readonly when?: string;
}

export interface S3ErrorRow {
  /** The `name` of the SDK's error. */
  readonly names: readonly string[];
  readonly statuses: readonly number[];
  /** Further errors of this row, which have no name or status. Text for docs/errors.md. */
  readonly also?: string;
  /** One outcome, or several with a condition each. */
  readonly outcomes: readonly RowOutcome[];
  readonly operatorAction: string;
  readonly tenantAction: string;
}

const NONE = 'none';

const row = (
  names: readonly string[],
  more: Omit<S3ErrorRow, 'names' | 'statuses'> & Partial<S3ErrorRow>,
): S3ErrorRow => Object.freeze({ statuses: [], ...more, names });

export const S3_ERROR_TABLE = Object.freeze({
  failed: row(
    [
      'InternalError',
      'ServiceUnavailable',
      'SlowDown',
      'RequestTimeout',
      'TimeoutError',
      'TooManyRequests',
      'Throttling',
      'ThrottlingException',
      'RequestThrottled',
    ],
    {
      statuses: [408, 425, 429],
      also: 'network errors, timeouts, HTTP 5xx',
      outcomes: [{ code: 'STORE_FAILED' }],
      operatorAction: 'none; if it persists, check the network and the AWS Health Dashboard',
      tenantAction: NONE,
    },
  ),
  conflict: row(['PreconditionFailed', 'ConditionalRequestConflict', 'OperationAborted'], {
    statuses: [409, 412],
    outcomes: [
      { when: 'conditional write: re-read and retried up to 10 times' },
      { code: 'STORE_FAILED', when: 'after the last try, and on other requests' },
    ],
    operatorAction: 'none; if it persists, find what else writes to the bucket',
    tenantAction: NONE,
  }),
  missing: row(['NoSuchKey', 'NotFound'], {
    statuses: [404],
    outcomes: [
      { code: 'CONTENT_MISSING', when: "for a job's content" },
      { when: 'otherwise treated as "not found", not an error' },
    ],
    operatorAction: 'submit the document again',
    tenantAction: NONE,
  }),
  refused: row(
    [
      'AccessDenied',
      'NoSuchBucket',
      'PermanentRedirect',
      'AuthorizationHeaderMalformed',
      'ExpiredToken',
      'InvalidAccessKeyId',
      'InvalidToken',
      'SignatureDoesNotMatch',
      'RequestTimeTooSkewed',
    ],
    {
      also: 'any other status 4xx',
      outcomes: [
        { code: 'PLATFORM_STORE', when: 'if the canary also fails' },
        { code: 'STORE_FAILED', attempts: 8, when: 'if the canary succeeds' },
        { code: 'CONTENT_MISSING', when: "for a job's content, after the last attempt" },
      ],
      operatorAction:
        'check SEALDEX_BUCKET, AWS_REGION, the credentials, the bucket policy and the IAM policy of the role',
      tenantAction: NONE,
    },
  ),
  credentials: row(['CredentialsProviderError', 'TokenProviderError'], {
    outcomes: [{ code: 'PLATFORM_CREDENTIALS' }],
    operatorAction: 'renew the credentials or fix the IAM role of this process',
    tenantAction: NONE,
  }),
  multipart: row([], {
    also: '409 on CompleteMultipartUpload',
    outcomes: [{ when: 'does not occur: sealdex writes with single PUTs' }],
    operatorAction: NONE,
    tenantAction: NONE,
  }),
} satisfies Record<string, S3ErrorRow>);

const REGION = 'The bucket is in another region. Check AWS_REGION';
const CREDENTIALS = 'S3 rejected the credentials. Renew them, or check the IAM role of this process';

/** Messages of errors with one known cause. All others use the message of `STORE_FAILED`. */
export const S3_SENTENCES: Readonly<Record<string, string>> = Object.freeze({
  NoSuchBucket: 'The bucket does not exist. Check SEALDEX_BUCKET and AWS_REGION, or create the bucket.',
  AccessDenied: 'S3 denied access. Check the IAM role and the bucket policy; sealdex policy prints what a role needs.',
  PermanentRedirect: `${REGION}.`,
  AuthorizationHeaderMalformed: `${REGION}.`,
  ExpiredToken: `${CREDENTIALS}.`,
  InvalidAccessKeyId: `${CREDENTIALS}.`,
  InvalidToken: `${CREDENTIALS}.`,
  SignatureDoesNotMatch: `${CREDENTIALS}.`,
  RequestTimeTooSkewed: "This host's clock differs from that of S3. Synchronize it with NTP.",
});
