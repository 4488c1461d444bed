// Algorithm suite 0x0478: AES-256-GCM with a key derived per message (HKDF-SHA-512), to which the message commits.
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { internalError } from './refusal.ts';

export const SUITE_ID = 0x0478;
const DATA_KEY_BYTES = 32;
export const MESSAGE_ID_BYTES = 32;
export const COMMIT_KEY_BYTES = 32;
export const IV_BYTES = 12;
export const TAG_BYTES = 16;

const CIPHER = 'aes-256-gcm';
const GCM = Object.freeze({ authTagLength: TAG_BYTES });
const DERIVED_BYTES = 32;

/** RFC 5869, one block of output: the info, then the block's number. */
const expandInfo = (info: string): Buffer => Buffer.from(`${info}\x01`, 'latin1');
const ENCRYPT_INFO = expandInfo('\x04\x78DERIVEKEY');
const COMMIT_INFO = expandInfo('COMMITKEY');

/** The keys of one message. */
export interface MessageKey {
  /** A copy; plaintext in the message. */
  readonly messageId: Buffer;
  readonly encrypt: KeyObject;
  /** Stored in the message, so that no second data key opens it. */
  readonly commit: Buffer;
}

/**
 * Extracts once and expands twice. Keys are passed to node:crypto as KeyObjects, since Node 24 takes 10 microseconds longer for a buffer.
 * Never the data key: the memory of a KeyObject is cleared at garbage collection, not at a defined time.
 * @param dataKey 32 bytes; only read
 * @param messageId 32 random bytes, the salt
 */
export function deriveMessageKey(dataKey: Uint8Array, messageId: Uint8Array): MessageKey {
  if (dataKey.byteLength !== DATA_KEY_BYTES) throw internalError('A data key must be 32 bytes.');
  const extracted = createHmac('sha512', createSecretKey(messageId)).update(dataKey).digest();
  const expandKey = createSecretKey(extracted);
  extracted.fill(0);
  const encrypt = createHmac('sha512', expandKey).update(ENCRYPT_INFO).digest();
  const commit = createHmac('sha512', expandKey).update(COMMIT_INFO).digest();
  try {
    return {
      messageId: Buffer.from(messageId),
      encrypt: createSecretKey(encrypt.subarray(0, DERIVED_BYTES)),
      commit: Buffer.from(commit.subarray(0, COMMIT_KEY_BYTES)),
    };
  } finally {
    encrypt.fill(0);
    commit.fill(0);
  }
}

/** Compares in constant time. */
export const matchesCommitment = (key: MessageKey, commit: Uint8Array): boolean => timingSafeEqual(key.commit, commit);

/** Writes ciphertext and tag into `out` from `at` on. Returns their end. */
export function encryptInto(
  out: Buffer,
  at: number,
  key: KeyObject,
  iv: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): number {
  const cipher = createCipheriv(CIPHER, key, iv, GCM).setAAD(aad);
  if (plaintext.byteLength > 0) out.set(cipher.update(plaintext), at);
  cipher.final();
  const tagAt = at + plaintext.byteLength;
  out.set(cipher.getAuthTag(), tagAt);
  return tagAt + TAG_BYTES;
}

/** Returns the plaintext in memory of its own, or undefined if the tag does not match: then no plaintext leaves this function. */
export function decrypt(
  key: KeyObject,
  iv: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Buffer | undefined {
  const decipher = createDecipheriv(CIPHER, key, iv, GCM).setAAD(aad).setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    return undefined;
  }
  return plaintext;
}
