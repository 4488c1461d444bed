// Encryption of a large message in pieces, yielding in between: in one call it would block all other jobs.
import type { Clock } from '../runtime/clock.ts';
import { createYielder } from '../documents/yielder.ts';
import type { BegunMessage } from '../envelope/message.ts';

const PIECE_BYTES = 1_048_576;

export async function wholeMessage(
  begun: BegunMessage,
  plaintext: Buffer,
  clock: Clock,
  signal: AbortSignal,
): Promise<Buffer> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < plaintext.length; at += PIECE_BYTES) yield plaintext.subarray(at, at + PIECE_BYTES);
  }
  const message = Buffer.allocUnsafeSlow(begun.bytes(plaintext.length));
  const pace = createYielder(clock, signal);
  let at = 0;
  for await (const piece of begun.encrypt(pieces())) {
    at += piece.copy(message, at);
    if (pace.shouldYield()) await pace.yieldNow();
  }
  return message;
}
