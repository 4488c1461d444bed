// The commands that make and unwrap a data key, and the plaintext in their answers.
import { DecryptCommand, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import { SealdexError } from '../../runtime/errors.ts';
import type { KeyContext } from '../data-key.ts';
import { KEY_BYTES } from '../kms.ts';

export const contextOf = ({ tenant, period, purpose }: KeyContext): Record<string, string> => ({
  tenant,
  period,
  purpose,
});

export const generateDataKeyCommand = (arn: string, context: KeyContext): GenerateDataKeyCommand =>
  new GenerateDataKeyCommand({ KeyId: arn, KeySpec: 'AES_256', EncryptionContext: contextOf(context) });

export const decryptCommand = (arn: string, wrapped: Uint8Array, context: KeyContext): DecryptCommand =>
  new DecryptCommand({ KeyId: arn, CiphertextBlob: wrapped, EncryptionContext: contextOf(context) });

export interface PlaintextAnswer {
  readonly KeyId?: string | undefined;
  readonly Plaintext?: Uint8Array | undefined;
}

/**
 * Moves the key out of the SDK's buffer, which is zeroed.
 * @throws SealdexError `INTERNAL` with reason `KeyLength`, or `OtherKeyAnswered` when it is not under the KMS key asked for
 */
export function takePlaintext({ KeyId, Plaintext }: PlaintextAnswer, arn: string): Buffer {
  // An array of its own: Node moves small views that it allocates itself, and leaves what they held behind.
  const plaintext = Buffer.from(new ArrayBuffer(KEY_BYTES));
  const isWhole = Plaintext?.length === KEY_BYTES;
  if (isWhole) plaintext.set(Plaintext);
  Plaintext?.fill(0);
  if (isWhole && KeyId === arn) return plaintext;
  plaintext.fill(0);
  throw new SealdexError('INTERNAL', undefined, { reason: isWhole ? 'OtherKeyAnswered' : 'KeyLength' });
}
