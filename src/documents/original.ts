// Plaintext bytes of an original: a head line with its document, then the unchanged file.
import { z } from 'zod';
import { SealdexError } from '../runtime/errors.ts';
import { isNewerThan, NEWER, newerMessage } from '../runtime/newer.ts';

const originalHead = z.looseObject({
  v: z.literal(1),
  tenant: z.string(),
  corpus: z.string(),
  id: z.string(),
  revision: z.int().positive(),
  filename: z.string(),
  contentType: z.string(),
  bytes: z.int().min(0),
});

/** `bytes` is the length of the file, which follows the first LF. */
export type OriginalHead = z.infer<typeof originalHead>;

export const originalBytes = (head: OriginalHead, file: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), file]);

/** File name and id have at most 1,024 characters each, fully escaped in the worst case. */
const HEAD_BYTES = 32_768;
const LF = 10;

export interface OriginalReading extends AsyncDisposable {
  readonly head: OriginalHead;
  /** The bytes of the file. Throws at its end if the length differs from the head. */
  readonly body: AsyncGenerator<Buffer>;
}

const unreadable = (): SealdexError =>
  new SealdexError('OBJECT_UNREADABLE', 'The object is not a stored file.', { reason: 'original' });

/** Reads the head from a stream of decrypted bytes. @throws SealdexError `OBJECT_UNREADABLE`; the source's own errors */
export async function readOriginal(source: AsyncIterable<Uint8Array>): Promise<OriginalReading> {
  const chunks = source[Symbol.asyncIterator]();
  const close = async (): Promise<void> => void (await chunks.return?.());
  let held = Buffer.alloc(0);
  let end = -1;
  while (end < 0) {
    const { done, value } = await chunks.next();
    if (done === true || held.length > HEAD_BYTES) {
      await close();
      throw unreadable();
    }
    held = Buffer.concat([held, value]);
    end = held.indexOf(LF);
  }
  const line = parseJson(held.subarray(0, end));
  const head = originalHead.safeParse(line).data;
  if (!head) {
    await close();
    if (!isNewerThan(1, line)) throw unreadable();
    throw new SealdexError('OBJECT_UNREADABLE', newerMessage('The stored file'), { reason: NEWER });
  }
  return { head, body: bodyOf(head, held.subarray(end + 1), chunks, close), [Symbol.asyncDispose]: close };
}

async function* bodyOf(
  head: OriginalHead,
  first: Buffer,
  chunks: AsyncIterator<Uint8Array>,
  close: () => Promise<void>,
): AsyncGenerator<Buffer> {
  let seen = first.length;
  try {
    if (first.length > 0) yield first;
    for (;;) {
      const { done, value } = await chunks.next();
      if (done === true) break;
      seen += value.length;
      yield Buffer.from(value.buffer, value.byteOffset, value.length);
    }
  } finally {
    await close();
  }
  if (seen !== head.bytes) throw unreadable();
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
