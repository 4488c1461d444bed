// The least IAM policy of each of our own roles: which objects of the bucket it touches how, and which calls it makes to KMS.
// What the code calls is held against this table by a test that lets each role do nothing else.
import { documentOf, type PolicyDocument, type PolicyStatement } from './policy-document.ts';

/** `operator`: the command line, in all that it can do; index, upload, read and list are its as well. */
export const ROLES = ['worker', 'producer', 'reader', 'operator'] as const;
export type Role = (typeof ROLES)[number];

export interface RolePolicyChoice {
  readonly bucket: string;
  readonly platformKeyArn: string;
  readonly platformFormerKeyArns?: readonly string[];
  /** SEALDEX_QUEUE. */
  readonly queue: string;
}

type Touch = 'Get' | 'Put' | 'Delete' | 'DeleteVersion';
type Prefix = 'tenants' | 'documents' | 'originals' | 'intake' | 'birth' | 'canary' | 'reencrypted' | 'fingerprintKey';

/** HEAD is a Get too; so is every write or removal on condition of an ETag. */
const OBJECTS: Readonly<Record<Role, Readonly<Partial<Record<Prefix, readonly Touch[]>>>>> = Object.freeze({
  worker: {
    tenants: ['Get'],
    documents: ['Get', 'Put', 'Delete'],
    originals: ['Get', 'Put', 'Delete'],
    intake: ['Get', 'Put', 'Delete'],
    birth: ['Get', 'Put'],
    canary: ['Get', 'Put', 'Delete'],
    reencrypted: ['Get', 'Put'],
  },
  producer: { tenants: ['Get'], intake: ['Put', 'Delete'], fingerprintKey: ['Get', 'Put'] },
  reader: { tenants: ['Get'], documents: ['Get'], originals: ['Get'] },
  operator: {
    tenants: ['Get', 'Put'],
    documents: ['Get', 'Delete', 'DeleteVersion'],
    originals: ['Get', 'Delete', 'DeleteVersion'],
    intake: ['Get', 'Put', 'Delete', 'DeleteVersion'],
    reencrypted: ['Get', 'Delete', 'DeleteVersion'],
  },
});

/** What a tenant that leaves may have left besides its objects: older versions, and uploads that were never finished. */
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
  };
  const objects = Object.entries(OBJECTS[role]).map(([prefix, touches]): PolicyStatement => ({
    Sid: `Bucket${prefix.charAt(0).toUpperCase()}${prefix.slice(1)}`,
    Effect: 'Allow',
    Action: touches.map((touch) => (touch === 'DeleteVersion' ? 's3:DeleteObjectVersion' : `s3:${touch}Object`)),
    Resource: `${bucket}/${names[prefix as Prefix]}`,
  }));
  return documentOf([
    // Not for some prefixes only: S3 answers 404 for what is missing, and not 403, only to who may list the whole bucket.
    { Sid: 'BucketList', Effect: 'Allow', Action: ['s3:ListBucket'], Resource: bucket },
    ...(role === 'operator' ? leaving(bucket) : []),
    ...objects,
    ...keys(role, choice, partition),
  ]);
}

/**
 * Every role asks for data keys, opens them, and finds out what is the matter when it is refused. Who checks a key before it
 * is attached makes the other calls too that its owner grants.
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
