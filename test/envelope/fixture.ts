// Fixtures of the envelope tests: the data of the golden vector, keys, streams and rejected messages.
import { expect } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { decryptMessage, decryptStream } from '../../src/envelope/message.ts';
import type { EncryptionContext, EnvelopeKey, Refusal, Unwrap } from '../../src/envelope/message.ts';
import { plan, sortedPairs } from './reference.ts';
import type { Plan } from './reference.ts';

export const ARN = 'arn:aws:kms:us-west-2:111122223333:key/mrk-00000000000000000000000000000001';
export const DATA_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
export const OTHER_DATA_KEY = Uint8Array.from({ length: 32 }, (_, index) => 255 - index);
export const WRAPPED = Buffer.from('deadbeef', 'hex');
export const CONTEXT: EncryptionContext = { tenant: 't-42', é: 'x', purpose: 'text' };
/** a0 a1 ... af, twice. */
export const MESSAGE_ID = Uint8Array.from({ length: 32 }, (_, index) => 0xa0 + (index % 16));

export function keyOf(context: EncryptionContext = CONTEXT, over: Partial<EnvelopeKey> = {}): EnvelopeKey {
  return { arn: ARN, wrapped: WRAPPED, context, use: (fn) => fn(DATA_KEY), ...over };
}

export const unwrap: Unwrap = () => ({ use: (fn) => fn(DATA_KEY) });

/** The plan of a valid message, with the inputs of the golden vector, for one change. */
export function planOf(plaintext: Uint8Array, frameBytes: number, over: Partial<Plan> = {}): Plan {
  return {
    dataKey: DATA_KEY,
    messageId: MESSAGE_ID,
    context: sortedPairs(CONTEXT),
    edks: [{ provider: 'aws-kms', info: ARN, ciphertext: WRAPPED }],
    frameBytes,
    content: plan(plaintext, frameBytes),
    ...over,
  };
}

/** Repeatable bytes similar to noise. */
export function noise(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}

/** A stream that gives `bytes` in chunks of `size`. */
export async function* inChunks(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function gather(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The bytes released from a rejected message before its rejection, read as a stream. */
export interface Refused {
  readonly released: Buffer;
}

/** Both readers reject the message with this reason, and release no unauthenticated bytes. */
export async function expectRefusal(message: Uint8Array, reason: Refusal, by: Unwrap = unwrap): Promise<Refused> {
  await expectError(decryptMessage(message, by), reason);
  const released: Buffer[] = [];
  const drain = async (): Promise<void> => {
    for await (const chunk of decryptStream(inChunks(message), by)) released.push(chunk);
  };
  await expectError(drain(), reason);
  return { released: Buffer.concat(released) };
}

/** The one code and the one sentence of every rejection. */
export function expectRefusalError(error: unknown, reason?: Refusal): void {
  expect(error).toBeInstanceOf(SealdexError);
  const { code, message, reason: given, cause } = error as SealdexError;
  expect({ code, message, cause }).toEqual({
    code: 'OBJECT_TAMPERED',
    message: new SealdexError('OBJECT_TAMPERED').message,
    cause: undefined,
  });
  if (reason !== undefined) expect(given).toBe(reason);
}

async function expectError(refused: Promise<unknown>, reason: Refusal): Promise<void> {
  expectRefusalError(
    await refused.then(
      () => 'accepted',
      (error: unknown) => error,
    ),
    reason,
  );
}
