// Copying envelope, for the bench only: measures the cost of an index job without encryption.
// The header still names the wrapped data key, so that the key ring does all its work.
import type { EnvelopeKey, MessageHeader, Unwrap } from '../src/envelope/message.ts';

interface Head {
  readonly arn: string;
  readonly wrapped: string;
  readonly context: Readonly<Record<string, string>>;
}

export function encryptMessage(key: EnvelopeKey, plaintext: Uint8Array): Buffer {
  key.use((bytes) => bytes.length);
  const head: Head = { arn: key.arn, wrapped: Buffer.from(key.wrapped).toString('base64'), context: key.context };
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), plaintext]);
}

export async function decryptMessage(message: Uint8Array, unwrap: Unwrap): Promise<Buffer> {
  const bytes = Buffer.from(message);
  const end = bytes.indexOf(0x0a);
  const head = JSON.parse(bytes.subarray(0, end).toString()) as Head;
  const header = {
    ...head,
    wrapped: Buffer.from(head.wrapped, 'base64'),
    frameBytes: 65_536,
  } as unknown as MessageHeader;
  const key = await unwrap(header);
  key.use((plain) => plain.length);
  return bytes.subarray(end + 1);
}

export const decryptStream = (): never => {
  throw new Error('the bench does not read');
};
