// Cryptographic actions of the local KMS. Each checks its input and the key's state first.
import { randomBytes } from 'node:crypto';
import { type Context, invalidCiphertext, keyIdIn, unwrap, wrap } from './blob.ts';
import { KmsError, MESSAGES, validation } from './errors.ts';
import { bytesOf, contextOf, type Input, keyIdOf, textOf, wholeOf } from './input.ts';
import { assertUsable, type Key, type Keys } from './keys.ts';
import { authorize, type Requester } from './policy.ts';

type Output = Record<string, unknown>;

const MAX_PLAINTEXT_BYTES = 4096;
const MAX_BLOB_BYTES = 6144;
const KEY_SPECS: Readonly<Record<string, number>> = { AES_128: 16, AES_256: 32 };
const ALGORITHM = 'SYMMETRIC_DEFAULT';

export function generateDataKey(keys: Keys, input: Input, by: Requester): Output {
  return newDataKey(keys, input, by, 'GenerateDataKey');
}

export function generateDataKeyWithoutPlaintext(keys: Keys, input: Input, by: Requester): Output {
  const { Plaintext: _, ...output } = newDataKey(keys, input, by, 'GenerateDataKeyWithoutPlaintext');
  return output;
}

function newDataKey(keys: Keys, input: Input, by: Requester, operation: string): Output {
  const context = contextOf(input);
  const length = dataKeyBytes(input);
  const key = keys.find(keyIdOf(input));
  authorize(by, key, operation, context);
  assertUsable(key, operation);
  refuseDryRun(input);
  const plaintext = randomBytes(length);
  return {
    CiphertextBlob: wrap(key.material, key.id, context, plaintext).toString('base64'),
    Plaintext: plaintext.toString('base64'),
    KeyId: key.arn,
  };
}

function dataKeyBytes(input: Input): number {
  const spec = textOf(input, 'KeySpec');
  const count = wholeOf(input, 'NumberOfBytes', 1, 1024);
  if ((spec === undefined) === (count === undefined)) {
    throw validation('Please specify either number of bytes or key spec.');
  }
  const length = count ?? KEY_SPECS[spec ?? ''];
  if (length === undefined) {
    throw validation(
      `1 validation error detected: Value '${spec}' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]`,
    );
  }
  return length;
}

export function encrypt(keys: Keys, input: Input, by: Requester): Output {
  const context = contextOf(input);
  const plaintext = bytesOf(input, 'Plaintext', MAX_PLAINTEXT_BYTES);
  const key = keys.find(keyIdOf(input));
  authorize(by, key, 'Encrypt', context);
  assertUsable(key, 'Encrypt');
  refuseDryRun(input);
  return {
    CiphertextBlob: wrap(key.material, key.id, context, plaintext).toString('base64'),
    KeyId: key.arn,
    EncryptionAlgorithm: ALGORITHM,
  };
}

export function decrypt(keys: Keys, input: Input, by: Requester): Output {
  const context = contextOf(input);
  const blob = bytesOf(input, 'CiphertextBlob', MAX_BLOB_BYTES);
  const key = keyOfBlob(keys, blob, textOf(input, 'KeyId'));
  authorize(by, key, 'Decrypt', context);
  assertUsable(key, 'Decrypt');
  const plaintext = unwrap(key.material, context, blob);
  refuseDryRun(input);
  return { KeyId: key.arn, Plaintext: plaintext.toString('base64'), EncryptionAlgorithm: ALGORITHM };
}

export function reEncrypt(keys: Keys, input: Input, by: Requester): Output {
  const blob = bytesOf(input, 'CiphertextBlob', MAX_BLOB_BYTES);
  const sourceContext: Context = contextOf(input, 'SourceEncryptionContext');
  const destinationContext: Context = contextOf(input, 'DestinationEncryptionContext');
  const source = keyOfBlob(keys, blob, textOf(input, 'SourceKeyId'));
  authorize(by, source, 'ReEncryptFrom', sourceContext);
  assertUsable(source, 'ReEncryptFrom');
  const destination = keys.find(keyIdOf(input, 'DestinationKeyId'));
  authorize(by, destination, 'ReEncryptTo', destinationContext);
  assertUsable(destination, 'ReEncryptTo');
  const plaintext = unwrap(source.material, sourceContext, blob);
  refuseDryRun(input);
  return {
    CiphertextBlob: wrap(destination.material, destination.id, destinationContext, plaintext).toString('base64'),
    SourceKeyId: source.arn,
    KeyId: destination.arn,
    SourceEncryptionAlgorithm: ALGORITHM,
    DestinationEncryptionAlgorithm: ALGORITHM,
  };
}

/** The key that a blob names. A `KeyId` in the request must be the same key. */
function keyOfBlob(keys: Keys, blob: Buffer, requested: string | undefined): Key {
  const named = requested === undefined ? undefined : keys.find(requested);
  const id = keyIdIn(blob);
  if (named && named.id !== id) throw new KmsError('IncorrectKeyException', MESSAGES['IncorrectKeyException']);
  if (!/^[A-Za-z0-9-]+$/.test(id)) throw invalidCiphertext();
  return named ?? keys.find(keys.arnOf(id));
}

function refuseDryRun(input: Input): void {
  if (input['DryRun'] === true) {
    throw new KmsError('DryRunOperationException', MESSAGES['DryRunOperationException']);
  }
}
