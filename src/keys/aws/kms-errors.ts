// Tables of KMS errors and key states: the code of each, and the actions of the operator and the tenant.
// Data only: kms-error-mapping.ts reads it, and a test compares docs/errors.md with it.
import type { Code } from '../../runtime/errors.ts';

/** Codes for the same error: on a tenant's KMS key, and on the platform key. */
interface KeyCodes {
  readonly tenant: Code;
  readonly platform: Code;
}

interface Row extends KeyCodes {
  readonly operatorAction: string;
  readonly tenantAction: string;
}

export interface KeyStateRow extends Row {
  /** Matches the error message in this state. Used if DescribeKey returns no state. */
  readonly message?: RegExp;
}

export interface KmsErrorRow extends Row {
  /** The `name` of the SDK's error. */
  readonly names: readonly string[];
  /** Further errors of this row, which have no name. Text for docs/errors.md. */
  readonly also?: string;
  /** Matches the error message. Of several rows with one name, the first match counts; a row without it matches any message. */
  readonly message?: RegExp;
  /** Whose policy denied the call. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** The code depends on the key state. This state is assumed if neither DescribeKey nor the message gives one. */
  readonly state?: 'Disabled' | 'Unavailable';
  /** Code for a job whose content caused the error, if it differs. */
  readonly content?: Code;
}

type Texts = readonly [operatorAction: string, tenantAction: string];

const NONE = 'none';
const CANCEL = 'cancel the deletion, then enable the key (cancelling alone leaves it disabled)';
const BY_STATE: Texts = ['depends on the key state (see below)', 'depends on the key state (see below)'];

const codes = (tenant: Code, platform: Code, [operatorAction, tenantAction]: Texts): Row => ({
  tenant,
  platform,
  operatorAction,
  tenantAction,
});

const frozen = <T extends Readonly<Record<string, object>>>(table: T): Readonly<T> => {
  for (const row of Object.values(table)) Object.freeze(row);
  return Object.freeze(table);
};

/** By the key state that DescribeKey returns; `gone` (the key was deleted) and `other` (any other state) are not names of KMS. */
export const KEY_STATE_TABLE = frozen({
  Enabled: codes('KMS_FAILED', 'KMS_FAILED', ['none; the error is temporary', NONE]),
  Updating: {
    ...codes('KMS_FAILED', 'KMS_FAILED', ['none; the state is temporary', NONE]),
    message: /updating/i,
  },
  Creating: {
    ...codes('KMS_FAILED', 'KMS_FAILED', ['none; the state is temporary', 'none; wait for the replica']),
    message: /creating/i,
  },
  Disabled: codes('KEY_DISABLED', 'PLATFORM_KEY', [
    'tenant key: none; platform key: enable it',
    'enable the key; jobs resume automatically',
  ]),
  PendingDeletion: {
    ...codes('KEY_PENDING_DELETION', 'PLATFORM_KEY', [
      'tenant key: notify the tenant of the date immediately; platform key: cancel the deletion, then enable it',
      CANCEL,
    ]),
    message: /pending deletion/i,
  },
  PendingReplicaDeletion: {
    ...codes('KEY_PENDING_DELETION', 'PLATFORM_KEY', [
      'tenant key: notify the tenant immediately; platform key: cancel the deletion, then enable it. Deletion follows the waiting period after the last replica is gone',
      CANCEL,
    ]),
    message: /pending replica deletion/i,
  },
  PendingImport: {
    ...codes('KEY_PENDING_IMPORT', 'PLATFORM_KEY', [
      'tenant key: none; platform key: re-import its key material',
      're-import the same key material',
    ]),
    message: /pending import/i,
  },
  Unavailable: codes('KEY_UNAVAILABLE', 'PLATFORM_KEY', [
    'tenant key: none; platform key: reconnect its custom key store',
    'reconnect the custom key store',
  ]),
  gone: codes('KEY_NOT_FOUND', 'PLATFORM_KEY', [
    'check the ARN and the region; data encrypted under a deleted key is lost',
    'provide another key; a deleted key cannot be recovered',
  ]),
  other: codes('KMS_FAILED', 'KMS_FAILED', ['none; if it persists, check the state in the KMS documentation', NONE]),
} satisfies Record<string, KeyStateRow>);

export const KMS_ERROR_TABLE = frozen({
  failed: {
    ...codes('KMS_FAILED', 'KMS_FAILED', [
      'none; if it persists, check the network and the AWS Health Dashboard',
      NONE,
    ]),
    names: ['KMSInternalException', 'DependencyTimeoutException', 'TimeoutError', 'AbortError'],
    also: 'network errors, timeouts, HTTP 5xx',
  },
  unavailable: {
    ...codes('KMS_FAILED', 'KMS_FAILED', [
      'none; if it persists, check the AWS Health Dashboard',
      'none; if it persists, check the custom key store',
    ]),
    names: ['KeyUnavailableException'],
  },
  throttled: {
    ...codes('KMS_THROTTLED', 'KMS_THROTTLED', ['none; if it persists, request a higher KMS quota', NONE]),
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
  deniedByCaller: {
    ...codes('KEY_DENIED', 'PLATFORM_KEY', [
      'allow the key in the IAM policy, permissions boundary, session policy, VPC endpoint policy or SCP that denied it',
      NONE,
    ]),
    names: ['AccessDeniedException'],
    also: 'the message names a policy on the caller\'s side, for example "no identity-based policy allows"',
    // These policies apply to the caller. Key policy, grants and the tenant's organization apply to the key.
    message: /\b(identity-based|session|service control|VPC endpoint) policy\b|\bpermissions boundary\b/i,
    deniedBy: 'operator',
  },
  denied: {
    ...codes('KEY_DENIED', 'PLATFORM_KEY', [
      'tenant key: none; platform key: allow the role in its key policy',
      'restore the statements in the key policy (a deleted key in another account returns the same error)',
    ]),
    names: ['AccessDeniedException'],
    also: 'any other message',
    deniedBy: 'tenant',
  },
  notFound: {
    ...codes('KEY_NOT_FOUND', 'PLATFORM_KEY', [
      'check the ARN and the region; platform key: correct SEALDEX_PLATFORM_KEY_ARN',
      'provide the correct ARN or another key; a deleted key cannot be recovered',
    ]),
    names: ['NotFoundException'],
  },
  tampered: {
    ...codes('OBJECT_TAMPERED', 'OBJECT_TAMPERED', [
      'find what else writes to the bucket or to Redis, then submit the document again',
      NONE,
    ]),
    names: ['InvalidCiphertextException', 'IncorrectKeyException'],
    content: 'CONTENT_TAMPERED',
  },
  invalid: {
    ...codes('TENANT_KEY_INVALID', 'PLATFORM_KEY', [
      'tenant key: set the key again and replay; platform key: correct SEALDEX_PLATFORM_KEY_ARN',
      'provide the full ARN of a symmetric encryption key',
    ]),
    names: ['InvalidKeyUsageException', 'InvalidArnException', 'ValidationException'],
  },
  credentials: {
    ...codes('PLATFORM_CREDENTIALS', 'PLATFORM_CREDENTIALS', [
      'renew the credentials, fix the IAM role of this process, or synchronize its clock',
      NONE,
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
    // Names of STS, which the SDK calls for credentials. KMS uses AccessDeniedException.
    ...codes('PLATFORM_CREDENTIALS', 'PLATFORM_CREDENTIALS', [
      "check the role's trust policy and the identity provider",
      NONE,
    ]),
    names: ['AccessDenied', 'InvalidIdentityTokenException', 'IDPRejectedClaimException'],
  },
  dryRun: {
    ...codes('INTERNAL', 'INTERNAL', ['report a bug: sealdex makes no dry-run calls', NONE]),
    names: ['DryRunOperationException'],
  },
  unknown: {
    ...codes('INTERNAL', 'INTERNAL', ['report a bug and include the log line', NONE]),
    names: [],
    also: 'any other error',
  },
} satisfies Record<string, KmsErrorRow>);
