// Which calls to KMS are the owner's own housekeeping with a key: they use no key, and sealdex never makes them
// (but for DescribeKey, which changes nothing). What stands in no list here counts as a use of the key.
import type { TrailEvent } from './cloudtrail.ts';

/** CreateGrant is left out on purpose: it lets others use the key. */
const HOUSEKEEPING: ReadonlySet<string> = new Set([
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

/** From within the account whose key it is; a stranger who does such things is no housekeeper. */
export const isManagementCall = ({ operation, callerAccount, keys }: TrailEvent): boolean =>
  HOUSEKEEPING.has(operation) &&
  callerAccount !== undefined &&
  keys.every((key) => key.split(':')[4] === callerAccount);
