// The content of a message header, read without any key.
import { decryptMessage, type MessageHeader } from '../../src/envelope/message.ts';

export async function headerOf(message: Uint8Array): Promise<Pick<MessageHeader, 'arn' | 'context' | 'wrapped'>> {
  let seen: MessageHeader | undefined;
  const stop = new Error('The header is all that is wanted.');
  await decryptMessage(message, (header) => {
    seen = header;
    throw stop;
  }).catch((error: unknown) => {
    if (error !== stop) throw error;
  });
  return { arn: seen!.arn, wrapped: seen!.wrapped, context: { ...seen!.context } };
}
