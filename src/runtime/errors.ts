// Errors: the error class of sealdex and its details. The codes are in codes.ts.
import { CODES, type Code } from './codes.ts';
import { sentenceOf } from './sentences.ts';

export { CODES, dispositionOf, isCode, type Code, type Disposition } from './codes.ts';

/** Facts of an error besides its code. */
export interface ErrorDetails {
  /** Path of the invalid field, such as `sections[2].text`; never a value. */
  readonly field?: string;
  /** The exact cause, for logs and metrics: an AWS error name or an identifier of sealdex; never content. */
  readonly reason?: string;
  /** Only errors of KMS, S3 and Redis: parsers quote content in theirs. */
  readonly cause?: unknown;
  /** AWS id of the failed request to KMS or S3; the owner of the key finds it in CloudTrail. */
  readonly requestId?: string | undefined;
  /** ARN of the KMS key of the failed call. */
  readonly keyArn?: string;
  /** Start of the condition: wall clock, milliseconds. */
  readonly since?: number;
  /** Deletion date of the KMS key: wall clock, milliseconds. */
  readonly deletesAt?: number;
  /** Whose policy denied the call, if KMS reports it. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** Suggested delay before a retry, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** The message of an error without one of its own: what happened, then what to do. */
/** Remedy of `KEY_DENIED` if KMS reports whose policy denied the call. */
const DENIED_REMEDIES = {
  operator: 'Allow the key in the IAM policy of the role; sealdex policy prints what each role needs.',
  tenant:
    'Ask the tenant to restore the statements printed by sealdex keys policy --tenant TENANT --principal ROLE_ARN.',
};

function defaultMessage(code: Code, deniedBy: ErrorDetails['deniedBy']): string {
  const { description, remedy } = CODES[code];
  const isDenied = code === 'KEY_DENIED' && deniedBy !== undefined;
  return `${sentenceOf(description)} ${isDenied ? DENIED_REMEDIES[deniedBy] : sentenceOf(remedy)}`;
}

/** The error of every module. Its message holds no content, key bytes or document id. */
export class SealdexError extends Error {
  override readonly name = 'SealdexError';
  /** Code of the error; `CODES` describes it. */
  readonly code: Code;
  /** Path of the invalid field, such as `sections[2].text`; never a value. */
  declare readonly field?: string;
  /** Exact cause: an AWS error name, the first word of the Redis reply, or an identifier of sealdex; never content. */
  declare readonly reason?: string;
  /** AWS id of the failed request to KMS or S3, as in CloudTrail. */
  declare readonly requestId?: string;
  /** ARN of the KMS key of the failed call. */
  declare readonly keyArn?: string;
  /** Start of the condition: Unix time in milliseconds. */
  declare readonly since?: number;
  /** Deletion date of the KMS key: Unix time in milliseconds. */
  declare readonly deletesAt?: number;
  /** Side whose policy denied the call, if KMS reports it. */
  declare readonly deniedBy?: 'operator' | 'tenant';
  /** Suggested delay before a retry, in milliseconds. */
  declare readonly retryAfterMs?: number;

  constructor(code: Code, message?: string, details: ErrorDetails = {}) {
    super(
      message ?? defaultMessage(code, details.deniedBy),
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    const { cause: _, ...facts } = details;
    Object.assign(this, Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)));
  }
}
