// Messages in the AWS Encryption SDK format, version 2, suite 0x0478: written and read, as buffers or streams. Imports no KMS or
// S3 code, and keeps no keys.
import { bodyBytes, frameMessageBytes, framesOf, plaintextBytesAtMost, readFrame, writeFrame } from './body.ts';
import { cutIntoFrames } from './cut.ts';
import { FRAME_BYTES_MAX, headerFields, openHeader, parseHeader, writeHeader } from './header.ts';
import type { EnvelopeKey, HeaderFields, MessageHeader, TaggedHeader, UnwrappedKey, WrappedKey } from './header.ts';
import { StreamBytes, WholeBytes } from './pull.ts';
import { internalError, tamperedMessage } from './refusal.ts';

export type { EncryptionContext } from './context.ts';
export type { EnvelopeKey, MessageHeader, WrappedKey } from './header.ts';
export type { Refusal } from './refusal.ts';

/** Called once per message, after its header was parsed and before decryption: checks context and ARN, may call KMS. */
export type Unwrap = (header: MessageHeader) => UnwrappedKey | Promise<UnwrappedKey>;

export interface MessageOptions {
  /** Plaintext bytes per frame, 1 to 16 MiB; 64 KiB by default. A reader holds one frame. */
  readonly frameBytes?: number | undefined;
}

const FRAME_BYTES = 64 * 1024;

/**
 * Encrypts a buffer.
 * @returns a buffer of exactly `messageBytes(...)`, not from Node's pool
 * @throws SealdexError `INTERNAL` for an invalid key, context or frame length; what `key.use` throws
 */
export function encryptMessage(key: EnvelopeKey, plaintext: Uint8Array, options: MessageOptions = {}): Buffer {
  const fields = fieldsOf(key, options);
  const { frameBytes } = fields;
  const { regular } = framesOf(plaintext.byteLength, frameBytes);
  const out = Buffer.allocUnsafeSlow(fields.bytes + bodyBytes(plaintext.byteLength, frameBytes));
  const messageKey = writeHeader(out, fields, key);
  let at = fields.bytes;
  for (let frame = 0; frame < regular; frame += 1) {
    const content = plaintext.subarray(frame * frameBytes, (frame + 1) * frameBytes);
    at = writeFrame(out, at, messageKey, 'regular', frame + 1, content);
  }
  writeFrame(out, at, messageKey, 'final', regular + 1, plaintext.subarray(regular * frameBytes));
  return out;
}

/**
 * Encrypts a stream: yields the header with the first frame, then each full frame, and holds at most one. Uses the data key once,
 * when the first bytes are requested. An error of the source ends the stream without a final frame, so that a reader detects the
 * truncation. A consumer that stops early ends the source; one that never started does not.
 * @throws as `encryptMessage`; the source's own errors unchanged
 */
export async function* encryptStream(
  key: EnvelopeKey,
  source: AsyncIterable<Uint8Array>,
  options: MessageOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  yield* beginMessage(key, options).encrypt(source);
}

/** A message with a derived key, which no longer needs its data key. For one source. */
export interface BegunMessage {
  /** Exact length of the message for a plaintext of this length. */
  bytes(plaintextBytes: number): number;
  /** As `encryptStream`. */
  encrypt(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined>;
}

/** Uses the data key immediately and only once. @throws as `encryptMessage`, without the source's errors */
export function beginMessage(key: EnvelopeKey, options: MessageOptions = {}): BegunMessage {
  const fields = fieldsOf(key, options);
  const header = Buffer.allocUnsafeSlow(fields.bytes);
  const messageKey = writeHeader(header, fields, key);
  let isUsed = false;
  return {
    bytes: (plaintextBytes) => fields.bytes + bodyBytes(plaintextBytes, fields.frameBytes),
    async *encrypt(source) {
      if (isUsed) throw internalError('A message must not be encrypted twice.');
      isUsed = true;
      let sequence = 1;
      for await (const { kind, plaintext } of cutIntoFrames(source, fields.frameBytes)) {
        // Only here, so that a consumer that stops at the header also ends the source.
        if (sequence === 1) yield header;
        const frame = Buffer.allocUnsafeSlow(frameMessageBytes(kind, plaintext.length));
        writeFrame(frame, 0, messageKey, kind, sequence, plaintext);
        yield frame;
        sequence += 1;
      }
    },
  };
}

/** Exact length of the message for a plaintext of this length. @throws as `encryptMessage` */
export function messageBytes(key: WrappedKey, plaintextBytes: number, options: MessageOptions = {}): number {
  if (!Number.isSafeInteger(plaintextBytes) || plaintextBytes < 0) {
    throw internalError('The length of a plaintext must be a whole number from 0.');
  }
  const fields = fieldsOf(key, options);
  return fields.bytes + bodyBytes(plaintextBytes, fields.frameBytes);
}

/** About a millisecond of decryption. */
const STRETCH_BYTES = 1_048_576;

/**
 * Decrypts a buffer, and yields to the event loop after each mebibyte.
 * @returns a buffer of its own
 * @throws SealdexError `OBJECT_TAMPERED` whose `reason` is a `Refusal`; what `unwrap` and `use` throw, unchanged
 */
export async function decryptMessage(message: Uint8Array, unwrap: Unwrap): Promise<Buffer> {
  const bytes = new WholeBytes(message);
  const tagged = bytes.read(parseHeader());
  const { frameBytes } = tagged.header;
  const messageKey = openHeader(tagged, await unwrap(tagged.header));
  const plaintext = Buffer.allocUnsafeSlow(plaintextBytesAtMost(bytes.remaining, frameBytes));
  let at = 0;
  let restedAt = 0;
  for (let sequence = 1; ; sequence += 1) {
    const frame = bytes.read(readFrame(messageKey, frameBytes, sequence));
    if (frame.kind === 'final' && bytes.remaining > 0) throw tamperedMessage('trailing');
    // After this regular frame there is no room for a final one.
    if (frame.plaintext.length > plaintext.length - at) throw tamperedMessage('truncated');
    plaintext.set(frame.plaintext, at);
    at += frame.plaintext.length;
    if (frame.kind === 'final') return plaintext;
    // Without a pause, a message of many megabytes would block the event loop.
    if (at - restedAt >= STRETCH_BYTES) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      restedAt = at;
    }
  }
}

/**
 * Decrypts a stream: releases each frame after its tag is verified, and holds at most one. Before the end, a consumer has only a
 * prefix and must not act on it. The last frame is released after the end of the source. A consumer that stops early ends the
 * source, and so does an error; one that never started does not.
 * @throws as `decryptMessage`; the source's own errors unchanged
 */
export async function* decryptStream(
  source: AsyncIterable<Uint8Array>,
  unwrap: Unwrap,
): AsyncGenerator<Buffer, void, undefined> {
  yield* (await receiveMessage(source)).decrypt(unwrap);
}

/**
 * Reads only the header of a message from its first bytes.
 * @throws SealdexError `OBJECT_TAMPERED` whose `reason` is a `Refusal`: `truncated` if the bytes end before the header does
 */
export const readHeader = (start: Uint8Array): MessageHeader => new WholeBytes(start).read(parseHeader()).header;

/** A stream after its header. Decrypt or close it: until then it holds its source. */
export interface ReceivedMessage {
  /** Not authenticated before the message is decrypted. */
  readonly header: MessageHeader;
  /** Decrypts the rest, as `decryptStream`; at most once. */
  decrypt(unwrap: Unwrap): AsyncGenerator<Buffer, void, undefined>;
  /** Ends the source. */
  close(): Promise<void>;
}

/** Reads the header of a stream. @throws as `decryptStream`, after ending the source */
export async function receiveMessage(source: AsyncIterable<Uint8Array>): Promise<ReceivedMessage> {
  const bytes = new StreamBytes(source);
  const close = (): Promise<void> => bytes.close();
  try {
    const tagged = await bytes.read(parseHeader());
    return { header: tagged.header, decrypt: (unwrap) => decryptFrames(bytes, tagged, unwrap), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function* decryptFrames(
  bytes: StreamBytes,
  tagged: TaggedHeader,
  unwrap: Unwrap,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    const messageKey = openHeader(tagged, await unwrap(tagged.header));
    for (let sequence = 1; ; sequence += 1) {
      const frame = await bytes.read(readFrame(messageKey, tagged.header.frameBytes, sequence));
      if (frame.kind === 'final' && !(await bytes.isAtEnd())) throw tamperedMessage('trailing');
      if (frame.plaintext.length > 0) yield frame.plaintext;
      if (frame.kind === 'final') return;
    }
  } finally {
    await bytes.close();
  }
}

function fieldsOf(key: WrappedKey, { frameBytes = FRAME_BYTES }: MessageOptions): HeaderFields {
  if (!Number.isInteger(frameBytes) || frameBytes < 1 || frameBytes > FRAME_BYTES_MAX) {
    throw internalError('The length of a frame must be a whole number from 1B to 16MiB.');
  }
  return headerFields(key, frameBytes);
}
