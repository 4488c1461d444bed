// Ciphertext blob of the local KMS: names its key, binds the encryption context, and has the same length as that of AWS.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { KmsError } from './errors.ts';

/** Magic, length of the key id, key id, zeros up to 124 bytes; nonce; ciphertext; tag. 152 bytes more than the plaintext. */
const MAGIC = Buffer.from('SXLK', 'latin1');
const HEADER_BYTES = 124;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export type Context = Readonly<Record<string, string>>;

/** Sorted, because the order of a context's pairs is not significant. */
const authenticated = (header: Buffer, context: Context): Buffer =>
  Buffer.concat([
    header,
    Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))),
  ]);

export function wrap(material: Buffer, keyId: string, context: Context, plaintext: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt8(header.write(keyId, MAGIC.length + 1, 'latin1'), MAGIC.length);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', material, nonce).setAAD(authenticated(header, context));
  return Buffer.concat([header, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** KMS returns this error without a message. */
export const invalidCiphertext = (): KmsError => new KmsError('InvalidCiphertextException');

/** The id of the key that made the blob. @throws KmsError InvalidCiphertextException for other bytes */
export function keyIdIn(blob: Buffer): string {
  if (blob.length <= HEADER_BYTES + NONCE_BYTES + TAG_BYTES || !blob.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw invalidCiphertext();
  }
  const start = MAGIC.length + 1;
  return blob.toString('latin1', start, start + blob.readUInt8(MAGIC.length));
}

/** @throws KmsError InvalidCiphertextException for another context, another key's material, or any changed byte. */
export function unwrap(material: Buffer, context: Context, blob: Buffer): Buffer {
  const header = blob.subarray(0, HEADER_BYTES);
  const nonce = blob.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', material, nonce)
    .setAAD(authenticated(header, context))
    .setAuthTag(blob.subarray(blob.length - TAG_BYTES));
  try {
    return Buffer.concat([
      decipher.update(blob.subarray(HEADER_BYTES + NONCE_BYTES, blob.length - TAG_BYTES)),
      decipher.final(),
    ]);
  } catch {
    throw invalidCiphertext();
  }
}
