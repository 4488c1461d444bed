// The actions that make, show and change keys.
import { notFound, validation } from './errors.ts';
import { type Input, keyIdOf, textOf, wholeOf } from './input.ts';
import { ACCOUNT, type Key, type Keys } from './keys.ts';

type Answer = Record<string, unknown>;

export function createKey(keys: Keys, input: Input): Answer {
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
  });
  return { KeyMetadata: metadataOf(key, keys.region) };
}

/** Works in every state of a key. */
export function describeKey(keys: Keys, input: Input): Answer {
  return { KeyMetadata: metadataOf(keys.find(keyIdOf(input)), keys.region) };
}

export function enableKey(keys: Keys, input: Input): Answer {
  keys.enable(keys.find(keyIdOf(input)));
  return {};
}

export function disableKey(keys: Keys, input: Input): Answer {
  keys.disable(keys.find(keyIdOf(input)));
  return {};
}

export function scheduleKeyDeletion(keys: Keys, input: Input): Answer {
  const days = wholeOf(input, 'PendingWindowInDays', 7, 30) ?? 30;
  const key = keys.find(keyIdOf(input));
  keys.scheduleDeletion(key, days);
  return {
    KeyId: key.arn,
    DeletionDate: seconds(key.deletionDate ?? 0),
    KeyState: key.state,
    PendingWindowInDays: days,
  };
}

export function cancelKeyDeletion(keys: Keys, input: Input): Answer {
  const key = keys.find(keyIdOf(input));
  keys.cancelDeletion(key);
  return { KeyId: key.arn };
}

/** Paged by `Limit` (100) and `Marker`, which is the id of the first key of the next page. */
export function listKeys(keys: Keys, input: Input): Answer {
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

function metadataOf(key: Key, region: string): Answer {
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

const seconds = (ms: number): number => Math.round(ms) / 1000;
