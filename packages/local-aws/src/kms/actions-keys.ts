// Key management actions of the local KMS: create, describe, list and change keys.
import { ACCOUNT } from '../iam/caller.ts';
import { KmsError, notFound, validation } from './errors.ts';
import { type Input, keyIdOf, textOf, wholeOf } from './input.ts';
import type { Key, Keys } from './keys.ts';
import { authorize, checkPolicy, DEFAULT_POLICY, type Requester } from './policy.ts';

type Output = Record<string, unknown>;

const checkedPolicy = (policy: string, input: Input, { caller }: Requester): string =>
  checkPolicy(policy, input['BypassPolicyLockoutSafetyCheck'] === true ? undefined : caller);

export function createKey(keys: Keys, input: Input, by: Requester): Output {
  const policy = textOf(input, 'Policy');
  const description = textOf(input, 'Description');
  const keySpec = textOf(input, 'KeySpec') ?? textOf(input, 'CustomerMasterKeySpec');
  const keyUsage = textOf(input, 'KeyUsage');
  const origin = textOf(input, 'Origin');
  const key = keys.create({
    multiRegion: input['MultiRegion'] === true,
    ...(description === undefined ? {} : { description }),
    ...(keySpec === undefined ? {} : { keySpec }),
    ...(keyUsage === undefined ? {} : { keyUsage }),
    ...(origin === undefined ? {} : { origin }),
    ...(policy === undefined ? {} : { policy: checkedPolicy(policy, input, by) }),
  });
  return { KeyMetadata: metadataOf(key, keys.region) };
}

/** Works in every state of a key. */
export function describeKey(keys: Keys, input: Input, by: Requester): Output {
  return { KeyMetadata: metadataOf(named(keys, input, by, 'DescribeKey'), keys.region) };
}

export function enableKey(keys: Keys, input: Input, by: Requester): Output {
  keys.enable(named(keys, input, by, 'EnableKey'));
  return {};
}

export function disableKey(keys: Keys, input: Input, by: Requester): Output {
  keys.disable(named(keys, input, by, 'DisableKey'));
  return {};
}

const seconds = (ms: number): number => Math.round(ms) / 1000;

export function scheduleKeyDeletion(keys: Keys, input: Input, by: Requester): Output {
  const days = wholeOf(input, 'PendingWindowInDays', 7, 30) ?? 30;
  const key = named(keys, input, by, 'ScheduleKeyDeletion');
  keys.scheduleDeletion(key, days);
  return {
    KeyId: key.arn,
    DeletionDate: seconds(key.deletionDate ?? 0),
    KeyState: key.state,
    PendingWindowInDays: days,
  };
}

export function cancelKeyDeletion(keys: Keys, input: Input, by: Requester): Output {
  const key = named(keys, input, by, 'CancelKeyDeletion');
  keys.cancelDeletion(key);
  return { KeyId: key.arn };
}

/** Works in every state of a key, as PutKeyPolicy. */
export function getKeyPolicy(keys: Keys, input: Input, by: Requester): Output {
  const key = named(keys, input, by, 'GetKeyPolicy');
  assertDefaultName(input);
  return { Policy: key.policy ?? DEFAULT_POLICY, PolicyName: 'default' };
}

export function putKeyPolicy(keys: Keys, input: Input, by: Requester): Output {
  const key = named(keys, input, by, 'PutKeyPolicy');
  assertDefaultName(input);
  const policy = textOf(input, 'Policy') ?? '';
  keys.setPolicy(key, checkedPolicy(policy, input, by));
  return {};
}

/** The key that the request names, if the caller may use the operation on it. */
function named(keys: Keys, input: Input, by: Requester, operation: string): Key {
  const key = keys.find(keyIdOf(input));
  authorize(by, key, operation);
  return key;
}

function assertDefaultName(input: Input): void {
  if ((textOf(input, 'PolicyName') ?? 'default') !== 'default')
    throw new KmsError('NotFoundException', 'No such policy exists.');
}

/** Paged by `Limit` (100) and `Marker`, which is the id of the first key of the next page. */
export function listKeys(keys: Keys, input: Input): Output {
  const limit = wholeOf(input, 'Limit', 1, 1000) ?? 100;
  const marker = textOf(input, 'Marker');
  const all = keys.all();
  const start = marker === undefined ? 0 : all.findIndex((key) => key.id === marker);
  if (start < 0) throw marker === '' ? validation('Invalid marker.') : notFound(marker ?? '');
  const next = all[start + limit];
  return {
    Keys: all.slice(start, start + limit).map((key) => ({ KeyId: key.id, KeyArn: key.arn })),
    Truncated: next !== undefined,
    ...(next === undefined ? {} : { NextMarker: next.id }),
  };
}

function metadataOf(key: Key, region: string): Output {
  return {
    AWSAccountId: ACCOUNT,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: seconds(key.created),
    Enabled: key.state === 'Enabled',
    Description: key.description,
    KeyUsage: key.keyUsage,
    KeyState: key.state,
    ...(key.deletionDate === undefined ? {} : { DeletionDate: seconds(key.deletionDate) }),
    Origin: key.origin,
    ...(key.customKeyStoreId === undefined ? {} : { CustomKeyStoreId: key.customKeyStoreId }),
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    ...(key.keyUsage === 'ENCRYPT_DECRYPT' ? { EncryptionAlgorithms: [key.keySpec] } : {}),
    MultiRegion: key.multiRegion,
    ...(key.multiRegion
      ? {
          MultiRegionConfiguration: {
            MultiRegionKeyType: 'PRIMARY',
            PrimaryKey: { Arn: key.arn, Region: region },
            ReplicaKeys: [],
          },
        }
      : {}),
  };
}
