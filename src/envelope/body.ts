// Frames of a message: their layout, written and read one at a time. Imports no header, data key or stream code.
import type { Pull } from './pull.ts';
import { internalError, tamperedMessage } from './refusal.ts';
import { IV_BYTES, TAG_BYTES, decrypt, encryptInto } from './suite.ts';
import type { MessageKey } from './suite.ts';

const FINAL_MARKER = 0xffffffff;
const REGULAR_EXTRA_BYTES = 4 + IV_BYTES + TAG_BYTES;
const FINAL_EXTRA_BYTES = 4 + 4 + IV_BYTES + 4 + TAG_BYTES;
/** A regular frame with a higher number would read as the final marker. */
const REGULAR_FRAMES_MAX = FINAL_MARKER - 1;

/** Represents the kind of a frame in the data that its tag covers. */
const REGULAR_CONTENT = Buffer.from('AWSKMSEncryptionClient Frame');
const FINAL_CONTENT = Buffer.from('AWSKMSEncryptionClient Final Frame');

/** The kinds differ in layout and in the data that their tags cover. */
export type FrameKind = 'regular' | 'final';

export const frameMessageBytes = (kind: FrameKind, plaintextBytes: number): number =>
  plaintextBytes + (kind === 'regular' ? REGULAR_EXTRA_BYTES : FINAL_EXTRA_BYTES);

/** The number of regular frames of a plaintext, and the rest for the final one: less than a frame, as in the official client. */
export function framesOf(plaintextBytes: number, frameBytes: number): { regular: number; rest: number } {
  const regular = Math.floor(plaintextBytes / frameBytes);
  if (regular > REGULAR_FRAMES_MAX) throw internalError('A message must not have more than 4,294,967,295 frames.');
  return { regular, rest: plaintextBytes % frameBytes };
}

/** Bytes of all frames together. */
export function bodyBytes(plaintextBytes: number, frameBytes: number): number {
  const { regular, rest } = framesOf(plaintextBytes, frameBytes);
  return regular * frameMessageBytes('regular', frameBytes) + frameMessageBytes('final', rest);
}

/** The maximum plaintext of a body of this length; exact for a valid body. */
export function plaintextBytesAtMost(bodyBytes: number, frameBytes: number): number {
  const regular = Math.max(0, Math.floor((bodyBytes - FINAL_EXTRA_BYTES) / (frameBytes + REGULAR_EXTRA_BYTES)));
  return Math.max(0, bodyBytes - FINAL_EXTRA_BYTES - regular * REGULAR_EXTRA_BYTES);
}

/** The data that a frame's tag covers besides its content. */
function frameAad(messageId: Buffer, kind: FrameKind, sequence: number, plaintextBytes: number): Buffer {
  const content = kind === 'regular' ? REGULAR_CONTENT : FINAL_CONTENT;
  const aad = Buffer.allocUnsafe(messageId.length + content.length + 4 + 8);
  aad.set(messageId);
  aad.set(content, messageId.length);
  let at = aad.writeUInt32BE(sequence, messageId.length + content.length);
  // The upper half of a u64: a frame is at most 16 MiB.
  at = aad.writeUInt32BE(0, at);
  aad.writeUInt32BE(plaintextBytes, at);
  return aad;
}

/**
 * Writes one frame into `out` from `at` on. Returns its end.
 * @param sequence counts from 1 within a message
 */
export function writeFrame(
  out: Buffer,
  at: number,
  key: MessageKey,
  kind: FrameKind,
  sequence: number,
  plaintext: Uint8Array,
): number {
  const isFinal = kind === 'final';
  if (!isFinal && sequence > REGULAR_FRAMES_MAX)
    throw internalError('A message must not have more than 4,294,967,295 frames.');
  let next = isFinal ? out.writeUInt32BE(FINAL_MARKER, at) : at;
  next = out.writeUInt32BE(sequence, next);
  // Deterministic and unique: the key belongs to one message, the number to one frame, and 0 to the header.
  const iv = out.subarray(next, next + IV_BYTES).fill(0);
  iv.writeUInt32BE(sequence, IV_BYTES - 4);
  next += IV_BYTES;
  if (isFinal) next = out.writeUInt32BE(plaintext.byteLength, next);
  const aad = frameAad(key.messageId, kind, sequence, plaintext.byteLength);
  return encryptInto(out, next, key.encrypt, iv, aad, plaintext);
}

export interface Frame {
  readonly kind: FrameKind;
  /** Authenticated, in memory of its own. */
  readonly plaintext: Buffer;
}

/**
 * Reads the frame that must have the number `sequence`.
 * @throws SealdexError `OBJECT_TAMPERED` with reason `sequence`, `final-length` or `frame-tag`
 */
export function* readFrame(key: MessageKey, frameBytes: number, sequence: number): Pull<Frame> {
  const first = (yield 4).readUInt32BE();
  if (first !== FINAL_MARKER) {
    if (first !== sequence) throw tamperedMessage('sequence');
    const rest = yield IV_BYTES + frameBytes + TAG_BYTES;
    return openFrame(key, 'regular', sequence, rest.subarray(0, IV_BYTES), rest.subarray(IV_BYTES));
  }
  if ((yield 4).readUInt32BE() !== sequence) throw tamperedMessage('sequence');
  const iv = yield IV_BYTES;
  const length = (yield 4).readUInt32BE();
  if (length > frameBytes) throw tamperedMessage('final-length');
  return openFrame(key, 'final', sequence, iv, yield length + TAG_BYTES);
}

/** Uses the stored IV: other writers choose different ones, and the tag proves it. */
function openFrame(key: MessageKey, kind: FrameKind, sequence: number, iv: Buffer, content: Buffer): Frame {
  const ciphertext = content.subarray(0, -TAG_BYTES);
  const aad = frameAad(key.messageId, kind, sequence, ciphertext.length);
  const plaintext = decrypt(key.encrypt, iv, aad, ciphertext, content.subarray(-TAG_BYTES));
  if (plaintext === undefined) throw tamperedMessage('frame-tag');
  return { kind, plaintext };
}
