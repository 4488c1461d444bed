// The bytes of an upload as its caller gives them: read once, counted, and never waited for without end.
// Knows nothing of what becomes of them.
import { Readable } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import { withDeadline, type Clock } from '../runtime/clock.ts';
import { invalid } from '../documents/field.ts';
import { SealdexError } from '../runtime/errors.ts';
import { formatSize } from '../runtime/units.ts';

/** Below the 20 s after which S3 gives up a request whose body stands still. */
const IDLE_MS = 15_000;
/** A body that trickles holds its place in the queue, and a connection to S3. */
const WHOLE_MS = 600_000;

/** A file whose bytes are still to be read. */
export interface FileBody {
  /** Read once. @throws SealdexError `DOCUMENT_INVALID` with field `body` or `length`, `FILE_TOO_LARGE` */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Of a stream: how many bytes will come, if the caller told. */
  readonly length: number | undefined;
  readonly bytesMax: number;
}

const isEmpty = (): SealdexError => invalid('body', 'must not be empty');
const tooLarge = (fileBytes: number): SealdexError =>
  new SealdexError('FILE_TOO_LARGE', `The file exceeds ${formatSize(fileBytes)}. Split it.`, { field: 'body' });

/** @throws SealdexError as FileBody's chunks, for what is wrong already */
export function checkBody(body: unknown, length: unknown, fileBytes: number, clock: Clock): FileBody {
  const isLength = typeof length === 'number' && Number.isSafeInteger(length) && length >= 0;
  if (length !== undefined && !isLength) throw invalid('length', 'must be a whole number of bytes');
  if (isLength && length > fileBytes) throw tooLarge(fileBytes);
  if (isUint8Array(body)) {
    if (body.byteLength > fileBytes) throw tooLarge(fileBytes);
    if (isLength && length !== body.byteLength) throw invalid('length', 'does not match the length of body');
    if (body.byteLength === 0) throw isEmpty();
    // A copy: the caller may write over it while we wait.
    const copy = Buffer.from(body);
    return { chunks: oneOf(copy), length: undefined, bytesMax: copy.length };
  }
  if (!(body instanceof Readable)) throw invalid('body', 'must be a Readable stream or a Uint8Array');
  if (length === 0) throw isEmpty();
  // It may fail before anybody reads it; whoever reads it then is told.
  body.on('error', () => {});
  const wanted = isLength ? length : undefined;
  return { chunks: readBody(body, wanted, fileBytes, clock), length: wanted, bytesMax: wanted ?? fileBytes };
}

/** Ends a stream that nobody will read on, whatever state it is in. */
export function discardBody(body: unknown): void {
  if (!(body instanceof Readable)) return;
  // What it says of its end is nobody's business; without a listener it would end the process.
  body.on('error', () => {});
  body.destroy();
}

async function* oneOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
  await Promise.resolve();
}

const wrongLength = (): SealdexError => invalid('length', 'does not match the number of bytes received');

async function* readBody(
  body: Readable,
  length: number | undefined,
  fileBytes: number,
  clock: Clock,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  const end = clock.monotonic() + WHOLE_MS;
  let bytes = 0;
  for (;;) {
    const { done, value } = await nextOf(chunks, Math.min(IDLE_MS, end - clock.monotonic()), clock);
    if (done === true) break;
    if (!isUint8Array(value)) throw invalid('body', 'must yield bytes; do not set an encoding');
    bytes += value.byteLength;
    if (length !== undefined && bytes > length) throw wrongLength();
    if (bytes > fileBytes) throw tooLarge(fileBytes);
    if (value.byteLength > 0) yield value;
  }
  if (length !== undefined && bytes < length) throw wrongLength();
  if (bytes === 0) throw isEmpty();
}

/** The stream's own errors may quote content: they end here. */
async function nextOf(
  chunks: AsyncIterator<unknown>,
  waitMs: number,
  clock: Clock,
): Promise<IteratorResult<unknown, unknown>> {
  const late = (): SealdexError => invalid('body', 'stalled or took too long; send it again');
  try {
    return await withDeadline(clock, waitMs, chunks.next(), late);
  } catch (error) {
    throw error instanceof SealdexError && error.code === 'DOCUMENT_INVALID'
      ? error
      : invalid('body', 'could not be read: the stream failed; send it again');
  }
}
