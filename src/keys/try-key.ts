// Whether a KMS key works: a real GenerateDataKey, then Decrypt of what it gave, for a tenant may have denied just one.
import { timingSafeEqual } from 'node:crypto';
import { SealdexError } from '../errors.ts';
import type { KeyContext } from './data-key.ts';
import type { Kms } from './kms.ts';

/** @throws SealdexError of whichever was refused */
export async function tryKey(kms: Kms, keyArn: string, context: KeyContext): Promise<void> {
  const { plaintext, wrapped } = await kms.generateDataKey(keyArn, context);
  try {
    const again = await kms.decrypt(keyArn, wrapped, context);
    const isSame = timingSafeEqual(plaintext, again);
    again.fill(0);
    if (!isSame) throw new SealdexError('INTERNAL', undefined, { reason: 'OtherKeyAnswered' });
  } finally {
    plaintext.fill(0);
  }
}
