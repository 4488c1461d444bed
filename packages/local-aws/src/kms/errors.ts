// Errors of the local KMS: error names, HTTP status and messages of AWS.

import { callerOf } from '../iam/caller.ts';

export class KmsError extends Error {
  override readonly name: string;
  readonly status: number;

  /** An empty message is omitted from the response, as KMS does for some errors. */
  constructor(name: string, message = '', status = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

const CALLER = callerOf(undefined).arn;

export const notFound = (arn: string): KmsError => new KmsError('NotFoundException', `Key '${arn}' does not exist`);

export const disabled = (arn: string): KmsError => new KmsError('DisabledException', `${arn} is disabled.`);

export const invalidState = (arn: string, what: string): KmsError =>
  new KmsError('KMSInvalidStateException', `${arn} is ${what}.`);

export const validation = (message: string): KmsError => new KmsError('ValidationException', message);

/** The service model's message for a member that violates its constraint. */
export const constraint = (member: string, rule: string): KmsError =>
  validation(`1 validation error detected: Value at '${member}' failed to satisfy constraint: ${rule}`);

/** The policy that does not allow the call: the key policy, or the caller's IAM policy. */
export type DeniedBy = 'resource-based' | 'identity-based';

/**
 * `missing`: no statement allows it. `explicit`: a statement denies it. `unclear`: for callers of other accounts, to whom KMS
 * does not reveal the reason or whether the key exists.
 */
export type DenialDetail = 'missing' | 'explicit' | 'unclear';

export function accessDenied(
  operation: string,
  arn: string,
  by: DeniedBy,
  { caller = CALLER, detail = 'missing' }: { readonly caller?: string; readonly detail?: DenialDetail } = {},
): KmsError {
  const action = `kms:${operation}`;
  const because: Readonly<Record<DenialDetail, string>> = {
    missing: `on resource: ${arn} because no ${by} policy allows the ${action} action`,
    explicit: `on resource: ${arn} with an explicit deny in a${by === 'identity-based' ? 'n' : ''} ${by} policy`,
    unclear:
      'on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access',
  };
  return new KmsError(
    'AccessDeniedException',
    `User: ${caller} is not authorized to perform: ${action} ${because[detail]}`,
  );
}

/** Messages for errors that a test sets by name only. */
export const MESSAGES: Readonly<Record<string, string>> = Object.freeze({
  ThrottlingException: 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
  LimitExceededException: 'The request was rejected because a limit was exceeded.',
  KMSInternalException: 'An internal failure occurred. You can retry the request.',
  DependencyTimeoutException: 'The system timed out while trying to fulfill the request. You can retry the request.',
  KeyUnavailableException: 'The key is not available. You can retry the request.',
  ExpiredTokenException: 'The security token included in the request is expired',
  UnrecognizedClientException: 'The security token included in the request is invalid.',
  InvalidSignatureException: 'The request signature we calculated does not match the signature you provided.',
  IncorrectKeyException: 'The key ID in the request does not identify a CMK that can perform this operation.',
  DryRunOperationException: 'The request would have succeeded, but the DryRun option is set.',
});
