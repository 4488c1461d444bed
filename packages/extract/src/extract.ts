// A file -> its sections and metadata: finds the format, has it read, and holds the result to the bounds of a document. Runs
// where hostile files may: in a child process. Knows no tenants, jobs or records.
import { SealdexError } from '../../../src/runtime/errors.ts';
import { detect } from './detect.ts';
import type { Extracted, FileInput } from './extracted.ts';
import { FORMATS } from './formats.ts';
import { tooMuchOf, unreadable, unsupported } from '../../../src/extract/reasons.ts';
import { tidy, type TextLimits } from './normalize.ts';

/** Files in files, as messages with attachments: the outermost is the first. */
const DEEPEST = 3;

/** @throws SealdexError `FILE_UNSUPPORTED`, `FILE_UNREADABLE`, `FILE_TOO_LARGE`, `FILE_TOO_COMPLEX`, `FILE_NO_TEXT` */
export const extract = (file: FileInput, limits: TextLimits): Promise<Extracted> => extractAt(file, limits, 1);

async function extractAt(file: FileInput, limits: TextLimits, depth: number): Promise<Extracted> {
  if (depth > DEEPEST) throw unreadable('too-deep');
  const contentType = await attempt(() => detect(file));
  const read = FORMATS.get(contentType);
  if (!read) throw unsupported(contentType);
  const found = await attempt(() => read(file, (inner) => extractAt(inner, limits, depth + 1)));
  return tidy({ ...found, contentType }, limits);
}

/** What a reader throws that is not of ours is its word for a file that it cannot make sense of, and quotes it. */
async function attempt<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SealdexError) throw error;
    throw unreadable(tooMuchOf(error) ?? 'damaged');
  }
}
