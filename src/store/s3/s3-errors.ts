// The table of S3 errors: which codes each has, and what an operator and the tenant do about it.
// Data only: s3-error-mapping.ts reads it, and docs/errors.md is compared with it by a test.
import type { Code } from '../../runtime/errors.ts';

interface Fate {
  readonly code?: Code;
  /** Of how many the job spends one, where that is another number than the code's own. */
  readonly attempts?: number;
  readonly when?: string;
}

export interface S3ErrorRow {
  /** As `name` of the SDK's error. */
  readonly names: readonly string[];
  readonly statuses: readonly number[];
  /** What else belongs here and has neither a name nor a status of its own. */
  readonly also?: string;
  /** The code, or several with what decides between them; no code: nothing that a job notices. */
  readonly becomes: readonly Fate[];
  readonly operatorDoes: string;
  readonly tenantDoes: string;
}

const NOTHING = 'nothing';

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
      also: 'network errors, no answer in time, status 5xx',
      becomes: [{ code: 'STORE_FAILED' }],
      operatorDoes: 'nothing; if it lasts, check network and AWS status',
      tenantDoes: NOTHING,
    },
  ),
  conflict: row(['PreconditionFailed', 'ConditionalRequestConflict', 'OperationAborted'], {
    statuses: [409, 412],
    becomes: [
      { when: 'on a conditional write: looks again and writes again, up to 10 times' },
      { code: 'STORE_FAILED', when: 'after that, and on other requests' },
    ],
    operatorDoes: 'nothing; if it lasts, find who else writes to the bucket',
    tenantDoes: NOTHING,
  }),
  missing: row(['NoSuchKey', 'NotFound'], {
    statuses: [404],
    becomes: [{ code: 'CONTENT_MISSING', when: "for a job's content" }, { when: 'elsewhere an answer, no error' }],
    operatorDoes: 'index the document again',
    tenantDoes: NOTHING,
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
      becomes: [
        { code: 'PLATFORM_STORE', when: 'when the canary fails too' },
        { code: 'STORE_FAILED', attempts: 8, when: 'when the canary is good' },
        { code: 'CONTENT_MISSING', when: "in its place for a job's content, once the attempts are spent" },
      ],
      operatorDoes: 'check SEALDEX_BUCKET, AWS_REGION, our credentials, the bucket policy and our IAM policy',
      tenantDoes: NOTHING,
    },
  ),
  credentials: row(['CredentialsProviderError', 'TokenProviderError'], {
    becomes: [{ code: 'PLATFORM_CREDENTIALS' }],
    operatorDoes: 'renew the credentials or the role of this process',
    tenantDoes: NOTHING,
  }),
  multipart: row([], {
    also: '409 on CompleteMultipartUpload',
    becomes: [{ when: 'never met: every write of ours is one PUT' }],
    operatorDoes: NOTHING,
    tenantDoes: NOTHING,
  }),
} satisfies Record<string, S3ErrorRow>);

const REGION = 'The bucket is in another region. Check AWS_REGION';
const CREDENTIALS = 'S3 rejected the credentials. Renew them, or check the IAM role of this process';

/** Sentences of errors that name one cause; the others share that of `STORE_FAILED`. */
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
