// The tables of KMS errors and of key states: which code each has, and what an operator and the tenant do about it.
// Data only: kms-error-mapping.ts reads it, and docs/errors.md is compared with it by a test.
import type { Code } from '../../runtime/errors.ts';

/** The same refusal is the tenant's trouble when its own KMS key is refused, and ours when the platform key is. */
interface KeyCodes {
  readonly tenant: Code;
  readonly platform: Code;
}

interface Row extends KeyCodes {
  readonly operatorDoes: string;
  readonly tenantDoes: string;
}

export interface KeyStateRow extends Row {
  /** What the text of a refusal says in this state, for when DescribeKey does not tell the state. */
  readonly says?: RegExp;
}

export interface KmsErrorRow extends Row {
  /** As `name` of the SDK's error. */
  readonly names: readonly string[];
  /** What else belongs here and has no name of its own. */
  readonly also?: string;
  /** Of several rows with one name the first whose text fits; a row without it fits any text. */
  readonly says?: RegExp;
  /** Who has to act, where AWS tells it. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** The key's state decides the code; this is the state meant when neither DescribeKey nor the text tells it. */
  readonly state?: 'Disabled' | 'Unavailable';
  /** What a job gets whose own content is met by it, when that is another code. */
  readonly content?: Code;
}

type Texts = readonly [operatorDoes: string, tenantDoes: string];

const NOTHING = 'nothing';
const CANCELS = 'cancels the deletion and then enables the key: a cancelled deletion leaves it disabled';
const BY_STATE: Texts = ['what the state of the key asks for', 'what the state of the key asks for'];

const codes = (tenant: Code, platform: Code, [operatorDoes, tenantDoes]: Texts): Row => ({
  tenant,
  platform,
  operatorDoes,
  tenantDoes,
});

const frozen = <T extends Readonly<Record<string, object>>>(table: T): Readonly<T> => {
  for (const row of Object.values(table)) Object.freeze(row);
  return Object.freeze(table);
};

/** By the state that DescribeKey tells after a refusal; `gone` and `other` are told by no state of this name. */
export const KEY_STATE_TABLE = frozen({
  Enabled: codes('KMS_FAILED', 'KMS_FAILED', ['nothing: the refusal passes within minutes', NOTHING]),
  Updating: {
    ...codes('KMS_FAILED', 'KMS_FAILED', ['nothing: the refusal passes within minutes', NOTHING]),
    says: /updating/i,
  },
  Creating: {
    ...codes('KMS_FAILED', 'KMS_FAILED', ['nothing: the replica is being made', 'nothing: it waits for the replica']),
    says: /creating/i,
  },
  Disabled: codes('KEY_DISABLED', 'PLATFORM_KEY', [
    'nothing for a tenant; the platform key: enable it',
    'enables the key; its jobs go on by themselves',
  ]),
  PendingDeletion: {
    ...codes('KEY_PENDING_DELETION', 'PLATFORM_KEY', [
      'tell the tenant the date at once; the platform key: cancel the deletion, then enable it',
      CANCELS,
    ]),
    says: /pending deletion/i,
  },
  PendingReplicaDeletion: {
    ...codes('KEY_PENDING_DELETION', 'PLATFORM_KEY', [
      'tell the tenant at once: it has until its last replica is gone, and then the days it chose; the platform key: cancel the deletion, then enable it',
      CANCELS,
    ]),
    says: /pending replica deletion/i,
  },
  PendingImport: {
    ...codes('KEY_PENDING_IMPORT', 'PLATFORM_KEY', [
      'nothing for a tenant; the platform key: import its material again',
      'imports the same key material again',
    ]),
    says: /pending import/i,
  },
  Unavailable: codes('KEY_UNAVAILABLE', 'PLATFORM_KEY', [
    'nothing for a tenant; the platform key: reconnect its key store',
    'reconnects its custom key store',
  ]),
  gone: codes('KEY_NOT_FOUND', 'PLATFORM_KEY', [
    'check ARN and region; what was under the key is lost',
    'gives another key; a deleted one cannot be brought back',
  ]),
  other: codes('KMS_FAILED', 'KMS_FAILED', [
    'nothing; if it lasts, look the state up in the KMS documentation',
    NOTHING,
  ]),
} satisfies Record<string, KeyStateRow>);

export const KMS_ERROR_TABLE = frozen({
  failed: {
    ...codes('KMS_FAILED', 'KMS_FAILED', ['nothing; if it lasts, check network and AWS status', NOTHING]),
    names: ['KMSInternalException', 'DependencyTimeoutException', 'TimeoutError', 'AbortError'],
    also: 'network errors, no answer in time, status 5xx',
  },
  unavailable: {
    ...codes('KMS_FAILED', 'KMS_FAILED', [
      'nothing; if it lasts, check AWS status',
      'nothing; if it lasts, checks its custom key store',
    ]),
    names: ['KeyUnavailableException'],
  },
  throttled: {
    ...codes('KMS_THROTTLED', 'KMS_THROTTLED', ['nothing; if it lasts, ask AWS for a higher quota', NOTHING]),
    names: ['ThrottlingException', 'LimitExceededException'],
  },
  disabled: {
    ...codes('KEY_DISABLED', 'PLATFORM_KEY', BY_STATE),
    names: ['DisabledException'],
    state: 'Disabled',
  },
  invalidState: {
    ...codes('KEY_UNAVAILABLE', 'PLATFORM_KEY', BY_STATE),
    names: ['KMSInvalidStateException'],
    state: 'Unavailable',
  },
  deniedByUs: {
    ...codes('KEY_DENIED', 'PLATFORM_KEY', [
      'allow this process the key: our own IAM policy, boundary, session, VPC endpoint or organization denies it',
      NOTHING,
    ]),
    names: ['AccessDeniedException'],
    also: 'the text names a policy of ours, as "no identity-based policy allows"',
    // All policies that bind the caller; key policy, grants and the tenant's own organization bind the key.
    says: /\b(identity-based|session|service control|VPC endpoint) policy\b|\bpermissions boundary\b/i,
    deniedBy: 'operator',
  },
  denied: {
    ...codes('KEY_DENIED', 'PLATFORM_KEY', [
      'nothing for a tenant; the platform key: allow it in its key policy',
      'restores the grant in its key policy; a deleted key of another account looks the same',
    ]),
    names: ['AccessDeniedException'],
    also: 'any other text',
    deniedBy: 'tenant',
  },
  notFound: {
    ...codes('KEY_NOT_FOUND', 'PLATFORM_KEY', [
      'check ARN and region, and that the platform key is found',
      'gives the right ARN, or another key; a deleted one cannot be brought back',
    ]),
    names: ['NotFoundException'],
  },
  tampered: {
    ...codes('OBJECT_TAMPERED', 'OBJECT_TAMPERED', [
      'find who writes to the bucket or to Redis; index the document again',
      NOTHING,
    ]),
    names: ['InvalidCiphertextException', 'IncorrectKeyException'],
    content: 'CONTENT_TAMPERED',
  },
  invalid: {
    ...codes('TENANT_KEY_INVALID', 'PLATFORM_KEY', [
      "set the tenant's key anew and replay; the platform key: mend SEALDEX_PLATFORM_KEY_ARN",
      'gives the full ARN of a symmetric KMS key for encryption',
    ]),
    names: ['InvalidKeyUsageException', 'InvalidArnException', 'ValidationException'],
  },
  credentials: {
    ...codes('PLATFORM_CREDENTIALS', 'PLATFORM_CREDENTIALS', [
      'renew the credentials, the role or the clock of this process',
      NOTHING,
    ]),
    names: [
      'ExpiredTokenException',
      'UnrecognizedClientException',
      'InvalidClientTokenId',
      'IncompleteSignature',
      'InvalidSignatureException',
      'SignatureDoesNotMatch',
      'RequestTimeTooSkewed',
      'InvalidAccessKeyId',
      'InvalidToken',
      'CredentialsProviderError',
      'TokenProviderError',
    ],
  },
  sts: {
    // STS, which the SDK asks for credentials; KMS itself says AccessDeniedException.
    ...codes('PLATFORM_CREDENTIALS', 'PLATFORM_CREDENTIALS', [
      'let this process assume its role: trust policy, identity provider',
      NOTHING,
    ]),
    names: ['AccessDenied', 'InvalidIdentityTokenException', 'IDPRejectedClaimException'],
  },
  dryRun: {
    ...codes('INTERNAL', 'INTERNAL', [
      'report it: no call of ours is a dry run, where this would mean success',
      NOTHING,
    ]),
    names: ['DryRunOperationException'],
  },
  unknown: {
    ...codes('INTERNAL', 'INTERNAL', ['report it with the log line that names it', NOTHING]),
    names: [],
    also: 'anything else',
  },
} satisfies Record<string, KmsErrorRow>);
