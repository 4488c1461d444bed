// What a tenant's key policy must say so that we can use the key for that tenant, and nothing more; and the commands that
// make such a key.
import { documentOf, type PolicyDocument, type PolicyStatement } from './policy-document.ts';

const ROLE = /^arn:(aws[a-z-]*):iam::(\d{12}):role\/[\w+=,.@/-]{1,576}$/;

/** Whether the text is the ARN of an IAM role, as `arn:aws:iam::111122223333:role/sealdex`. */
export const isRoleArn = (text: string): boolean => ROLE.test(text);

export interface KeyPolicyChoice {
  /** Our role. */
  readonly principal: string;
  readonly tenant: string;
  /** Leaves the condition on the encryption context out: the key then serves whatever we call it for. */
  readonly withoutContext?: boolean | undefined;
  /**
   * Names our account and asks for the role by a condition. AWS keeps a role that is named as principal by an inner id, so
   * that a role which was deleted and made again is not the one that was meant.
   */
  readonly byCondition?: boolean | undefined;
}

/** The calls that use the key, `DescribeKey` aside, which has no encryption context. */
const USES = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*'];

/** The statements for the tenant to add to its key's policy. */
export function keyStatements({
  principal,
  tenant,
  withoutContext = false,
  byCondition = false,
}: KeyPolicyChoice): readonly PolicyStatement[] {
  const [, partition = '', account = ''] = ROLE.exec(principal) ?? [];
  const Principal = { AWS: byCondition ? `arn:${partition}:iam::${account}:root` : principal };
  const asRole = byCondition ? { 'aws:PrincipalArn': principal } : {};
  const inContext = withoutContext ? {} : { 'kms:EncryptionContext:tenant': tenant };
  const statement = (
    Sid: string,
    Action: readonly string[],
    StringEquals: Record<string, string>,
  ): PolicyStatement => ({
    Sid,
    Effect: 'Allow',
    Principal,
    Action,
    Resource: '*',
    ...(Object.keys(StringEquals).length === 0 ? {} : { Condition: { StringEquals } }),
  });
  return [
    statement('SealdexUsesTheKey', USES, { ...inContext, ...asRole }),
    statement('SealdexDescribesTheKey', ['kms:DescribeKey'], asRole),
  ];
}

/** A whole key policy: the key's own account stays in control of it, as with every key that is made in the console. */
export const keyPolicy = (choice: KeyPolicyChoice, account: string): PolicyDocument =>
  documentOf([
    {
      Sid: 'OwnAccountControlsTheKey',
      Effect: 'Allow',
      Principal: { AWS: `arn:${choice.principal.split(':')[1]}:iam::${account}:root` },
      Action: ['kms:*'],
      Resource: '*',
    },
    ...keyStatements(choice),
  ]);

export interface KeyCommandsChoice extends KeyPolicyChoice {
  /** Ours, where the key must be usable. */
  readonly region: string;
  /** Makes a multi-region key: its primary in this region, or in that of the tenant's own AWS CLI. */
  readonly primaryRegion?: string | undefined;
  readonly multiRegion?: boolean | undefined;
}

/** In the place of the tenant's account, until a shell puts it there. */
const ACCOUNT = '$ACCOUNT';

/** A key costs from its first moment on: if a later command fails, its owner must know what it has. */
const made = (region: string): string[] => [`echo "Created key $KEY in ${region}." >&2`];

const refusing = (test: string, sentence: string): string[] => [
  `if [ ${test} ]; then echo '${sentence}' >&2; exit 1; fi`,
];

/** The region of the tenant's AWS CLI, as that finds it itself; the shell ends where no replica could be made of a key there. */
const ownRegion = (region: string): string[] => [
  'PRIMARY=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}',
  ...refusing(
    '-z "$PRIMARY"',
    'The AWS CLI has no region. Set AWS_REGION to the region of the primary key and run this script again.',
  ),
  ...refusing(
    `"$PRIMARY" = ${region}`,
    `The AWS CLI uses ${region}, the region of the replica. Set AWS_REGION to another region for the primary key, or create a key without --multi-region.`,
  ),
];

/** A script for the tenant's shell that makes the key with AWS's command line and prints its ARN. */
export function keyCommands(choice: KeyCommandsChoice): string {
  const { tenant, region, multiRegion = false, primaryRegion } = choice;
  const policy = JSON.stringify(keyPolicy(choice, ACCOUNT), null, 2);
  const make = `aws kms create-key --origin AWS_KMS --description 'sealdex: tenant ${tenant}' --policy "$POLICY" --query KeyMetadata.KeyId --output text`;
  const lines = [
    'ACCOUNT=$(aws sts get-caller-identity --query Account --output text)',
    'POLICY=$(cat <<EOF',
    policy,
    'EOF',
    ')',
  ];
  if (!multiRegion)
    return [
      'set -eu',
      ...lines,
      `KEY=$(${make} --region ${region})`,
      ...made(region),
      `aws kms describe-key --key-id "$KEY" --region ${region} --query KeyMetadata.Arn --output text`,
    ].join('\n');
  return [
    'set -eu',
    ...(primaryRegion === undefined ? ownRegion(region) : [`PRIMARY=${primaryRegion}`]),
    ...lines,
    `KEY=$(${make} --multi-region --region "$PRIMARY")`,
    ...made('$PRIMARY'),
    `aws kms replicate-key --key-id "$KEY" --region "$PRIMARY" --replica-region ${region} --policy "$POLICY" --query ReplicaKeyMetadata.Arn --output text`,
  ].join('\n');
}
