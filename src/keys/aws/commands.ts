// Commands that create and unwrap a data key, and the plaintext in their responses.
import { DecryptCommand, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import { SealdexError } from '../../runtime/errors.ts';
import type { KeyRef } from '../../runtime/key-ref.ts';
import type { KeyContext } from '../data-key.ts';
import { KEY_BYTES } from '../kms.ts';

export const generateDataKeyCommand = ({ keyArn }: KeyRef, context: KeyContext): GenerateDataKeyCommand =>
  new GenerateDataKeyCommand({ KeyId: keyArn, KeySpec: 'AES_256', EncryptionContext: context });

export const decryptCommand = ({ keyArn }: KeyRef, wrapped: Uint8Array, context: KeyContext): DecryptCommand =>
  new DecryptCommand({ KeyId: keyArn, CiphertextBlob: wrapped, EncryptionContext: context });

export interface PlaintextAnswer {
  readonly KeyId?: string | undefined;
  readonly Plaintext?: Uint8Array | undefined;
}

/**
 * Moves the key out of the SDK's buffer, which is zeroed.
 * @throws SealdexError `INTERNAL` with reason `KeyLength`, or `OtherKeyAnswered` if the response is for another KMS key
 */
export function takePlaintext({ KeyId, Plaintext }: PlaintextAnswer, { keyArn }: KeyRef): Buffer {
  // In an ArrayBuffer of its own: Node pools small buffers, and leaves copies behind.
  const plaintext = Buffer.from(new ArrayBuffer(KEY_BYTES));
  const isWhole = Plaintext?.length === KEY_BYTES;
  if (isWhole) plaintext.set(Plaintext);
  Plaintext?.fill(0);
  if (isWhole && KeyId === keyArn) return plaintext;
  plaintext.fill(0);
  throw new SealdexError('INTERNAL', undefined, { reason: isWhole ? 'OtherKeyAnswered' : 'KeyLength' });
}
