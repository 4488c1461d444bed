// Minimal IAM policy of each sealdex role: its access to objects of the bucket, and its KMS calls. A test restricts each role to
// this table.
import { documentOf, type PolicyDocument, type PolicyStatement } from './policy-document.ts';

/** `operator`: all commands, including index, upload, read and list. */
export const ROLES = ['worker', 'producer', 'reader', 'operator'] as const;
export type Role = (typeof ROLES)[number];

export interface RolePolicyChoice {
  readonly bucket: string;
  readonly platformKeyArn: string;
  readonly platformFormerKeyArns?: readonly string[];
  /** SEALDEX_QUEUE. */
  readonly queue: string;
}

type Access = 'Get' | 'Put' | 'Delete' | 'DeleteVersion';
type Prefix =
  | 'tenants'
  | 'documents'
  | 'originals'
  | 'intake'
  | 'birth'
  | 'canary'
  | 'reencrypted'
  | 'fingerprintKey'
  | 'floor';

/** HEAD needs Get; so does every write or removal with a condition on an ETag. */
const OBJECTS: Readonly<Record<Role, Readonly<Partial<Record<Prefix, readonly Access[]>>>>> = Object.freeze({
  worker: {
    tenants: ['Get'],
    documents: ['Get', 'Put', 'Delete'],
    originals: ['Get', 'Put', 'Delete'],
    intake: ['Get', 'Put', 'Delete'],
    birth: ['Get', 'Put'],
    canary: ['Get', 'Put', 'Delete'],
    reencrypted: ['Get', 'Put'],
    floor: ['Get', 'Put'],
  },
  producer: { tenants: ['Get'], intake: ['Put', 'Delete'], fingerprintKey: ['Get', 'Put'], floor: ['Get'] },
  reader: { tenants: ['Get'], documents: ['Get'], originals: ['Get'] },
  operator: {
    tenants: ['Get', 'Put'],
    documents: ['Get', 'Delete', 'DeleteVersion'],
    originals: ['Get', 'Delete', 'DeleteVersion'],
    intake: ['Get', 'Put', 'Delete', 'DeleteVersion'],
    birth: ['Get', 'Put'],
    floor: ['Get'],
    reencrypted: ['Get', 'Delete', 'DeleteVersion'],
  },
});

/** Versions and unfinished uploads that a deleted tenant may have besides its objects. */
const leaving = (bucket: string): PolicyStatement[] => [
  {
    Sid: 'BucketLeftovers',
    Effect: 'Allow',
    Action: ['s3:ListBucketVersions', 's3:ListBucketMultipartUploads'],
    Resource: bucket,
  },
  { Sid: 'UnfinishedUploads', Effect: 'Allow', Action: ['s3:AbortMultipartUpload'], Resource: `${bucket}/*` },
];

export function rolePolicy(role: Role, choice: RolePolicyChoice): PolicyDocument {
  const partition = choice.platformKeyArn.split(':')[1] ?? 'aws';
  const bucket = `arn:${partition}:s3:::${choice.bucket}`;
  const names: Readonly<Record<Prefix, string>> = {
    tenants: 'tenants/*',
    documents: 'documents/*',
    originals: 'originals/*',
    intake: 'intake/*',
    birth: `system/${choice.queue}/birth`,
    canary: `system/${choice.queue}/canary/*`,
    reencrypted: `system/${choice.queue}/reencrypted/*`,
    fingerprintKey: `system/${choice.queue}/fingerprint-key`,
    floor: `system/${choice.queue}/floor`,
  };
  const objects = Object.entries(OBJECTS[role]).map(([prefix, touches]): PolicyStatement => ({
    Sid: `Bucket${prefix.charAt(0).toUpperCase()}${prefix.slice(1)}`,
    Effect: 'Allow',
    Action: touches.map((touch) => (touch === 'DeleteVersion' ? 's3:DeleteObjectVersion' : `s3:${touch}Object`)),
    Resource: `${bucket}/${names[prefix as Prefix]}`,
  }));
  return documentOf([
    // Not limited to prefixes: without list permission on the whole bucket, S3 responds with 403 instead of 404 for a missing
    // object.
    { Sid: 'BucketList', Effect: 'Allow', Action: ['s3:ListBucket'], Resource: bucket },
    ...(role === 'operator' ? leaving(bucket) : []),
    ...objects,
    ...keys(role, choice, partition),
  ]);
}

/**
 * Every role creates and unwraps data keys, and inspects a rejected key. A role that checks a key before it is attached makes all
 * calls that its owner grants.
 */
function keys(
  role: Role,
  { platformKeyArn, platformFormerKeyArns = [] }: RolePolicyChoice,
  partition: string,
): PolicyStatement[] {
  const anyKey = `arn:${partition}:kms:${platformKeyArn.split(':')[3]}:*:key/*`;
  const under = (purpose: string) => ({ StringEquals: { 'kms:EncryptionContext:purpose': purpose } });
  const statement = (
    Sid: string,
    Action: readonly string[],
    Resource: PolicyStatement['Resource'],
    purpose?: string,
  ): PolicyStatement => ({
    Sid,
    Effect: 'Allow',
    Action,
    Resource,
    ...(purpose === undefined ? {} : { Condition: under(purpose) }),
  });
  const uses = ['kms:GenerateDataKey', 'kms:Decrypt'];
  const checks = role === 'operator' ? ['kms:Encrypt', 'kms:ReEncryptFrom', 'kms:ReEncryptTo'] : [];
  return [
    statement('DocumentsUnderAnyKey', [...uses, ...checks], anyKey, 'documents'),
    statement('IntakeUnderThePlatformKey', uses, platformKeyArn, 'intake'),
    ...(platformFormerKeyArns.length === 0
      ? []
      : [statement('IntakeUnderFormerPlatformKeys', ['kms:Decrypt'], platformFormerKeyArns, 'intake')]),
    statement('KeyStates', ['kms:DescribeKey'], anyKey),
  ];
}
