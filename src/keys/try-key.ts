// Tests a KMS key by real calls, the only way to test permissions. Keeps no key.
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import { periodAt, type KeyScope, type Purpose } from './data-key.ts';
import type { Kms } from './kms.ts';

interface TryKeyDeps {
  readonly kms: Kms;
  readonly clock: Clock;
}

/**
 * Requests a data key of the current period and unwraps it: a tenant may deny only one of the two. Zeroes both plaintexts.
 * @throws SealdexError of the call that failed; `INTERNAL` with reason `OtherPlaintext` if Decrypt returns other bytes
 */
export async function tryKey({ kms, clock }: TryKeyDeps, key: KeyRef, purpose: Purpose): Promise<void> {
  const scope: KeyScope = { period: periodAt(key.tenant, clock.now()), purpose };
  const { plaintext, wrapped } = await kms.generateDataKey(key, scope);
  let unwrapped: Buffer | undefined;
  try {
    unwrapped = await kms.decrypt(key, wrapped, scope);
    if (plaintext.length !== unwrapped.length || !timingSafeEqual(plaintext, unwrapped)) {
      throw new SealdexError('INTERNAL', undefined, { reason: 'OtherPlaintext', keyArn: key.keyArn });
    }
  } finally {
    plaintext.fill(0);
    unwrapped?.fill(0);
  }
}
