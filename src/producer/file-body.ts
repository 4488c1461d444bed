// Bytes of an upload from its caller: read once, counted, and with time limits.
import { Readable } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import { withDeadline, type Clock } from '../runtime/clock.ts';
import { invalid } from '../documents/field.ts';
import { SealdexError } from '../runtime/errors.ts';
import { formatSize } from '../runtime/units.ts';

/** Less than the 20 s after which S3 ends a request whose body is idle. */
const IDLE_MS = 15_000;
/** A slow body holds a slot and a connection to S3. */
const WHOLE_MS = 600_000;

/** A file that is not read yet. */
export interface FileBody {
  /** Can be read once. @throws SealdexError `DOCUMENT_INVALID` with field `body` or `length`, `FILE_TOO_LARGE` */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Length of a stream in bytes, if the caller gave it. */
  readonly length: number | undefined;
  readonly bytesMax: number;
}

const isEmpty = (): SealdexError => invalid('body', 'must not be empty');
const tooLarge = (fileBytes: number): SealdexError =>
  new SealdexError('FILE_TOO_LARGE', `The file exceeds ${formatSize(fileBytes)}. Split it.`, { field: 'body' });

/** @throws SealdexError as FileBody's chunks, for problems that are visible without reading */
export function checkBody(body: unknown, length: unknown, fileBytes: number, clock: Clock): FileBody {
  const isLength = typeof length === 'number' && Number.isSafeInteger(length) && length >= 0;
  if (length !== undefined && !isLength) throw invalid('length', 'must be a whole number of bytes');
  if (isLength && length > fileBytes) throw tooLarge(fileBytes);
  if (isUint8Array(body)) {
    if (body.byteLength > fileBytes) throw tooLarge(fileBytes);
    if (isLength && length !== body.byteLength) throw invalid('length', 'does not match the length of body');
    if (body.byteLength === 0) throw isEmpty();
    // A copy: the caller may overwrite it meanwhile.
    const copy = Buffer.from(body);
    return { chunks: oneOf(copy), length: undefined, bytesMax: copy.length };
  }
  if (!(body instanceof Readable)) throw invalid('body', 'must be a Readable stream or a Uint8Array');
  if (length === 0) throw isEmpty();
  // An error before the first read has no listener yet; the reader gets it later.
  body.on('error', () => {});
  const wanted = isLength ? length : undefined;
  return { chunks: readBody(body, wanted, fileBytes, clock), length: wanted, bytesMax: wanted ?? fileBytes };
}

/** Ends an unread stream in any state. */
export function discardBody(body: unknown): void {
  if (!(body instanceof Readable)) return;
  // The error of an unread stream is ignored; without a listener it would end the process.
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

/** The stream's own errors may quote content, so they are not passed on. */
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
