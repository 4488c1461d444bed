// Header of a message: its layout, written and read, and its tag. The caller checks its ARN and context.
import { randomFillSync } from 'node:crypto';
import { decodeContext, decodeText, encodeContext } from './context.ts';
import type { EncryptionContext } from './context.ts';
import type { Pull } from './pull.ts';
import { internalError, tamperedMessage } from './refusal.ts';
import {
  COMMIT_KEY_BYTES,
  IV_BYTES,
  MESSAGE_ID_BYTES,
  SUITE_ID,
  TAG_BYTES,
  matchesCommitment,
  decrypt,
  deriveMessageKey,
  encryptInto,
} from './suite.ts';
import type { MessageKey } from './suite.ts';

/** A wrapped data key. */
export interface WrappedKey {
  /** The ARN in the response of KMS. */
  readonly arn: string;
  readonly wrapped: Uint8Array;
  readonly context: EncryptionContext;
}

/** The key for decryption: the plaintext data key (32 bytes) inside a synchronous callback. */
export interface UnwrappedKey {
  use<T>(fn: (plaintextKey: Uint8Array) => T): T;
}

/** The key for encryption: a data key in both forms. */
export interface EnvelopeKey extends WrappedKey, UnwrappedKey {}

/** The plaintext header of a message. It is not authenticated before the data key is unwrapped. */
export interface MessageHeader extends WrappedKey {
  /** A copy: keeping it does not keep the message. */
  readonly wrapped: Buffer;
  /** Without prototype, frozen. */
  readonly context: EncryptionContext;
  /** Plaintext bytes of a regular frame. */
  readonly frameBytes: number;
}

/** A header with its authentication. */
export interface TaggedHeader {
  readonly header: MessageHeader;
  readonly messageId: Buffer;
  readonly commit: Buffer;
  /** The original bytes of the header. */
  readonly body: Buffer;
  readonly tag: Buffer;
}

/** Longer frames are rejected: a reader must hold a frame before releasing it. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

const VERSION = 2;
const FRAMED = 2;
const NON_FRAMED = 1;
const PROVIDER = Buffer.from('aws-kms');
const BASE64_VERSION = 'A'.charCodeAt(0);
/** The header's own; those of frames count from 1. */
const HEADER_IV = Buffer.alloc(IV_BYTES);
const NO_PLAINTEXT = Buffer.alloc(0);
const MAX_FIELD_BYTES = 0xffff;
/** Everything except context, ARN and wrapped key; the tag included. */
const FIXED_BYTES = 37 + 2 + (2 + PROVIDER.length) + 2 + 2 + 1 + 4 + COMMIT_KEY_BYTES + TAG_BYTES;

/** Header fields as bytes, independent of a message. */
export interface HeaderFields {
  readonly context: Buffer;
  readonly arn: Buffer;
  readonly wrapped: Uint8Array;
  readonly frameBytes: number;
  /** Length of the header with its tag. */
  readonly bytes: number;
}

/** @throws SealdexError `INTERNAL` if a header cannot contain the ARN, wrapped key or context */
export function headerFields(key: WrappedKey, frameBytes: number): HeaderFields {
  const { wrapped } = key;
  const context = encodeContext(key.context);
  const arn = Buffer.from(key.arn);
  if (arn.length === 0 || arn.length > MAX_FIELD_BYTES)
    throw internalError('The ARN of a KMS key must be 1 to 65,535 bytes.');
  if (!key.arn.isWellFormed()) throw internalError('The ARN of a KMS key must be well-formed Unicode.');
  if (wrapped.byteLength === 0 || wrapped.byteLength > MAX_FIELD_BYTES) {
    throw internalError('A wrapped data key must be 1 to 65,535 bytes.');
  }
  return { context, arn, wrapped, frameBytes, bytes: FIXED_BYTES + context.length + arn.length + wrapped.byteLength };
}

/** Writes a header and its tag to the start of `out`, with a new message id. Returns the message's key. */
export function writeHeader(out: Buffer, fields: HeaderFields, key: UnwrappedKey): MessageKey {
  const field = (bytes: Uint8Array, at: number): number => {
    out.set(bytes, out.writeUInt16BE(bytes.byteLength, at));
    return at + 2 + bytes.byteLength;
  };
  let at = out.writeUInt8(VERSION);
  at = out.writeUInt16BE(SUITE_ID, at);
  randomFillSync(out, at, MESSAGE_ID_BYTES);
  const messageId = out.subarray(at, at + MESSAGE_ID_BYTES);
  at = field(fields.context, at + MESSAGE_ID_BYTES);
  at = out.writeUInt16BE(1, at);
  at = field(PROVIDER, at);
  at = field(fields.arn, at);
  at = field(fields.wrapped, at);
  at = out.writeUInt8(FRAMED, at);
  at = out.writeUInt32BE(fields.frameBytes, at);
  const messageKey = key.use((plaintextKey) => deriveMessageKey(plaintextKey, messageId));
  out.set(messageKey.commit, at);
  at += COMMIT_KEY_BYTES;
  encryptInto(out, at, messageKey.encrypt, HEADER_IV, out.subarray(0, at), NO_PLAINTEXT);
  return messageKey;
}

/** Reads a header with its tag. Rejects invalid headers before a data key is requested. */
export function* parseHeader(): Pull<TaggedHeader> {
  const pieces: Buffer[] = [];
  const keep = (piece: Buffer): Buffer => (pieces.push(piece), piece);

  const version = keep(yield 1).readUInt8();
  if (version === BASE64_VERSION) throw tamperedMessage('base64');
  if (version !== VERSION) throw tamperedMessage('unsupported-version');
  if (keep(yield 2).readUInt16BE() !== SUITE_ID) throw tamperedMessage('unsupported-suite');
  const messageId = keep(yield MESSAGE_ID_BYTES);
  const context = decodeContext(keep(yield keep(yield 2).readUInt16BE()));
  if (keep(yield 2).readUInt16BE() !== 1) throw tamperedMessage('edk-count');
  const provider = keep(yield keep(yield 2).readUInt16BE());
  const providerInfo = keep(yield keep(yield 2).readUInt16BE());
  const wrapped = keep(yield keep(yield 2).readUInt16BE());
  // Other providers have binary data in the place of the ARN.
  const arn = provider.equals(PROVIDER) ? decodeText(providerInfo) : undefined;
  if (arn === undefined) throw tamperedMessage('provider');
  const contentType = keep(yield 1).readUInt8();
  if (contentType !== FRAMED) throw tamperedMessage(contentType === NON_FRAMED ? 'non-framed' : 'content-type');
  const frameBytes = keep(yield 4).readUInt32BE();
  if (frameBytes === 0 || frameBytes > FRAME_BYTES_MAX) throw tamperedMessage('frame-length');
  const commit = keep(yield COMMIT_KEY_BYTES);
  const tag = yield TAG_BYTES;

  const header = Object.freeze({ arn, wrapped: copyOf(wrapped), context, frameBytes });
  return { header, messageId, commit, body: Buffer.concat(pieces), tag };
}

/** Not from Node's pool: a kept copy must not keep the memory around it. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * Derives the message's key, then verifies the commitment and the header, in this order.
 * @throws SealdexError `OBJECT_TAMPERED` with reason `commitment` or `header-tag`; what `key.use` throws
 */
export function openHeader(tagged: TaggedHeader, key: UnwrappedKey): MessageKey {
  const messageKey = key.use((plaintextKey) => deriveMessageKey(plaintextKey, tagged.messageId));
  if (!matchesCommitment(messageKey, tagged.commit)) throw tamperedMessage('commitment');
  const proof = decrypt(messageKey.encrypt, HEADER_IV, tagged.body, NO_PLAINTEXT, tagged.tag);
  if (proof === undefined) throw tamperedMessage('header-tag');
  return messageKey;
}
