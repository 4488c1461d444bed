// Key policies for tenants: the minimal statements that allow sealdex to use a key for that tenant, and the commands that create
// such a key.
import { documentOf, type PolicyDocument, type PolicyStatement } from './policy-document.ts';

const ROLE = /^arn:(aws[a-z-]*):iam::(\d{12}):role\/[\w+=,.@/-]{1,576}$/;

/** Returns true for the ARN of an IAM role, such as `arn:aws:iam::111122223333:role/sealdex`. */
export const isRoleArn = (text: string): boolean => ROLE.test(text);

export interface KeyPolicyChoice {
  /** The sealdex role. */
  readonly principal: string;
  readonly tenant: string;
  /** Omits the condition on the encryption context: the key then allows any call of the role. */
  readonly withoutContext?: boolean | undefined;
  /**
   * Names the account as principal, and the role in a condition. AWS stores a role principal by an internal id, so a role that is
   * deleted and created again loses access.
   */
  readonly byCondition?: boolean | undefined;
}

/** The calls that use the key, except `DescribeKey`, which has no encryption context. */
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

/** A complete key policy. The key's own account keeps control, as for every key created in the console. */
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
  /** Region of the sealdex installation, where the key must be usable. */
  readonly region: string;
  /** Creates a multi-region key: its primary in this region, or in the region of the tenant's AWS CLI. */
  readonly primaryRegion?: string | undefined;
  readonly multiRegion?: boolean | undefined;
}

/** Placeholder for the tenant's account, replaced by the shell. */
const ACCOUNT = '$ACCOUNT';

/** A key incurs costs as soon as it exists: if a later command fails, the message names the created key. */
const made = (region: string): string[] => [`echo "Created key $KEY in ${region}." >&2`];

const refusing = (test: string, sentence: string): string[] => [
  `if [ ${test} ]; then echo '${sentence}' >&2; exit 1; fi`,
];

/** The region of the tenant's AWS CLI. The script ends if a key there cannot have a replica. */
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

/** Returns a shell script for the tenant that creates the key with the AWS CLI and prints its ARN. */
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
