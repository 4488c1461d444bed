// Child side of the pipes: reads requests from standard input, one at a time, and writes responses to a separate pipe, so that
// output of a library is never taken for one. Errors are sent as reasons of a closed list, since messages quote content.
import { Socket } from 'node:net';
import { SealdexError } from '../runtime/errors.ts';
import type { FileRecord } from './file-record.ts';
import { framePieces, FrameReader, type Frame } from './framing.ts';
import { FILE_REASONS } from './reasons.ts';
import { type ExtractResponse, NOT_THIS_FILE, type ExtractRequest, REQUEST_BOUNDS } from './protocol.ts';

const ANSWER_FD = 3;
export const LIFELINE_FD = 4;

export type Handle = (request: ExtractRequest, bytes: Buffer) => Promise<FileRecord>;

/** Serves requests until standard input ends. */
export function serve(handle: Handle): void {
  const answers = new Socket({ fd: ANSWER_FD, readable: false, writable: true });
  const reader = new FrameReader(REQUEST_BOUNDS);
  const reply = (answer: ExtractResponse, body?: Buffer): void => {
    for (const piece of framePieces(answer, body)) answers.write(piece);
  };
  let begun = 0;
  let answered = 0;
  // A library may throw outside of any call. Only the first such error certainly belongs to this file.
  process.on('uncaughtException', () => {
    if (begun !== 1 || answered !== 0) process.exit(NOT_THIS_FILE);
    reply({ is: 'refused', reason: 'damaged' });
    answers.end(() => process.exit(1));
  });
  process.on('unhandledRejection', () => {});
  answers.on('error', () => process.exit(1));
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('data', (chunk: Buffer) => {
    for (const frame of reader.push(chunk)) {
      begun += 1;
      void answer(frame, handle, reply).then(() => (answered += 1));
    }
  });
}

async function answer(
  { header, body }: Frame,
  handle: Handle,
  reply: (answer: ExtractResponse, body?: Buffer) => void,
): Promise<void> {
  reply({ is: 'begun' });
  // Sent before the extraction starts, which may block the thread.
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  try {
    const { contentType, bytes } = await handle(header as ExtractRequest, body);
    reply({ is: 'record', contentType }, bytes);
  } catch (error) {
    reply(refusalOf(error));
  }
}

function refusalOf(error: unknown): ExtractResponse {
  if (error instanceof SealdexError) {
    if (error.code === 'FILE_UNSUPPORTED') return { is: 'unsupported', found: error.reason ?? 'unknown' };
    if (Object.hasOwn(FILE_REASONS, error.reason ?? '')) return { is: 'refused', reason: error.reason ?? '' };
  }
  return { is: 'failed' };
}
