// Management calls: KMS operations of a key's owner that do not use the key. Sealdex makes none of them except DescribeKey.
// An operation that is not listed counts as a use of the key.
import type { TrailEvent } from './cloudtrail.ts';

/** CreateGrant is not listed: it permits use of the key. */
const MANAGEMENT_CALLS: ReadonlySet<string> = new Set([
  'CancelKeyDeletion',
  'CreateAlias',
  'CreateKey',
  'DeleteAlias',
  'DeleteExpiredKeyMaterial',
  'DeleteImportedKeyMaterial',
  'DeleteKey',
  'DescribeKey',
  'DisableKey',
  'DisableKeyRotation',
  'EnableKey',
  'EnableKeyRotation',
  'GetKeyLastUsage',
  'GetKeyPolicy',
  'GetKeyRotationStatus',
  'GetParametersForImport',
  'GetPublicKey',
  'ImportKeyMaterial',
  'ListAliases',
  'ListGrants',
  'ListKeyPolicies',
  'ListKeyRotations',
  'ListResourceTags',
  'PutKeyPolicy',
  'ReplicateKey',
  'RetireGrant',
  'RevokeGrant',
  'RotateKey',
  'RotateKeyOnDemand',
  'ScheduleKeyDeletion',
  'SynchronizeMultiRegionKey',
  'TagResource',
  'UntagResource',
  'UpdateAlias',
  'UpdateKeyDescription',
  'UpdatePrimaryRegion',
]);

/** True only for callers of the key's own account. */
export const isManagementCall = ({ operation, callerAccount, keys }: TrailEvent): boolean =>
  MANAGEMENT_CALLS.has(operation) &&
  callerAccount !== undefined &&
  keys.every((key) => key.split(':')[4] === callerAccount);
