// File extraction: detects the format, reads the file, and normalizes the result within the limits.
import { detect } from './detect.ts';
import type { Extracted, FileInput } from './extracted.ts';
import { FORMATS } from './formats.ts';
import { FileError, limitReason } from './file-error.ts';
import { normalize, type ExtractLimits } from './normalize.ts';

/** Maximum depth of files in files, such as attachments of messages; the outermost file has depth 1. */
const MAX_DEPTH = 3;

/**
 * Reads a file into sections and metadata. Fetches nothing, writes nothing, and keeps nothing of the file.
 * It cannot be interrupted and may take much time and memory for a hostile file: run it in a process that can be killed.
 * @throws FileError for a file that cannot be read
 */
export const extract = (file: FileInput, limits: ExtractLimits): Promise<Extracted> => extractAt(file, limits, 1);

async function extractAt(file: FileInput, limits: ExtractLimits, depth: number): Promise<Extracted> {
  if (depth > MAX_DEPTH) throw new FileError('too-deep');
  const contentType = await attempt(() => detect(file));
  const read = FORMATS.get(contentType);
  if (!read) throw new FileError('unsupported', contentType);
  const found = await attempt(() => read(file, (inner) => extractAt(inner, limits, depth + 1)));
  return normalize({ ...found, contentType }, limits);
}

/** Any other error comes from a library that cannot parse the file. It is replaced, because its message quotes the file. */
async function attempt<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(limitReason(error) ?? 'damaged');
  }
}
