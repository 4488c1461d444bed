// Caller of an emulator, from the access key id of the request. Signatures are not checked.

export interface Caller {
  /** As in CloudTrail and denials: a role session, or a user. */
  readonly arn: string;
  /** `aws:PrincipalArn`: the role or the user itself. */
  readonly principalArn: string;
  readonly account: string;
}

export const ACCOUNT = '111122223333';

/** Caller for any access key id that is not an ARN. */
export const LOCAL_ROLE = `arn:aws:iam::${ACCOUNT}:role/sealdex`;

const PRINCIPAL = /^arn:(aws[a-z-]*):iam::(\d{12}):(role|user)\/(?:[\w+=,.@/-]*\/)?([\w+=,.@-]+)$/;

/**
 * An access key id that is the ARN of a role or a user is that principal; any other id is LOCAL_ROLE. A client becomes
 * another principal with AWS_ACCESS_KEY_ID=arn:aws:iam::444455556666:role/theirs alone.
 */
export function callerOf(authorization: string | undefined): Caller {
  // Credential=<access key id>/<date>/<region>/<service>/aws4_request; an ARN has slashes of its own.
  const [, id = ''] = /Credential=([^,\s]+)\/\d{8}\/[^/]+\/[^/]+\/aws4_request/.exec(authorization ?? '') ?? [];
  return principalOf(id) ?? principalOf(LOCAL_ROLE)!;
}

function principalOf(principalArn: string): Caller | undefined {
  const [, partition = '', account = '', kind, name = ''] = PRINCIPAL.exec(principalArn) ?? [];
  if (kind === undefined) return undefined;
  const arn = kind === 'user' ? principalArn : `arn:${partition}:sts::${account}:assumed-role/${name}/local`;
  return { arn, principalArn, account };
}
