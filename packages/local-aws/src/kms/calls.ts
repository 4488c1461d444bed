// KMS call: operation, keys and contexts of a request, read from its input before it is executed. Never throws.
import { keyIdIn } from './blob.ts';
import type { Input } from './input.ts';
import type { Keys } from './keys.ts';

export interface KmsCall {
  readonly operation: string;
  /** ARNs; ReEncrypt has two, the source's first. Empty if the call names no key that can be determined. */
  readonly keys: readonly string[];
  readonly contexts: readonly Readonly<Record<string, unknown>>[];
}

export function callOf(keys: Keys, operation: string, input: Input): KmsCall {
  const arns = [
    arn(keys, input['KeyId']) ?? arn(keys, input['SourceKeyId']) ?? arnInBlob(keys, input['CiphertextBlob']),
    arn(keys, input['DestinationKeyId']),
  ];
  const contexts = [
    input['EncryptionContext'],
    input['SourceEncryptionContext'],
    input['DestinationEncryptionContext'],
  ];
  return {
    operation,
    keys: arns.filter((arn) => arn !== undefined),
    contexts: contexts.filter((context) => typeof context === 'object' && context !== null) as KmsCall['contexts'],
  };
}

function arn(keys: Keys, keyId: unknown): string | undefined {
  if (typeof keyId !== 'string') return undefined;
  return keyId.startsWith('arn:') ? keyId : keys.arnOf(keyId);
}

function arnInBlob(keys: Keys, blob: unknown): string | undefined {
  if (typeof blob !== 'string') return undefined;
  try {
    return keys.arnOf(keyIdIn(Buffer.from(blob, 'base64')));
  } catch {
    return undefined;
  }
}
