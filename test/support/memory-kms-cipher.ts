// The cipher of the KMS double: bytes bound to a key and an encryption context.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { KeyContext } from '../../src/keys/data-key.ts';
import { SealdexError } from '../../src/runtime/errors.ts';

const ID_BYTES = 36;
const IV_BYTES = 12;
const TAG_BYTES = 16;

const aadOf = ({ tenant, period, purpose }: KeyContext): Buffer =>
  Buffer.from(JSON.stringify([tenant, period, purpose]));

const idOf = (arn: string): Buffer => Buffer.from(arn.slice(-ID_BYTES));

/** A copy outside Node's buffer pool, since its receiver zeroes it. Zeroes the original. */
export function ownBuffer(bytes: Buffer): Buffer {
  const own = Buffer.alloc(bytes.length);
  bytes.copy(own);
  bytes.fill(0);
  return own;
}

/** Returns the id of the key, then IV, tag and ciphertext, bound to the context. */
export function wrap(arn: string, material: Buffer, context: KeyContext, plaintext: Buffer): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', material, iv).setAAD(aadOf(context));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([idOf(arn), iv, cipher.getAuthTag(), ciphertext]);
}

/** @throws SealdexError `OBJECT_TAMPERED` for bytes of another key or context */
export function unwrap(arn: string, material: Buffer, context: KeyContext, wrapped: Buffer): Buffer {
  const id = wrapped.subarray(0, ID_BYTES);
  const reason = id.equals(idOf(arn)) ? 'InvalidCiphertextException' : 'IncorrectKeyException';
  const tagAt = ID_BYTES + IV_BYTES;
  try {
    if (!id.equals(idOf(arn))) throw new Error(reason);
    const decipher = createDecipheriv('aes-256-gcm', material, wrapped.subarray(ID_BYTES, tagAt))
      .setAAD(aadOf(context))
      .setAuthTag(wrapped.subarray(tagAt, tagAt + TAG_BYTES));
    return ownBuffer(Buffer.concat([decipher.update(wrapped.subarray(tagAt + TAG_BYTES)), decipher.final()]));
  } catch {
    throw new SealdexError('OBJECT_TAMPERED', undefined, { reason });
  }
}
