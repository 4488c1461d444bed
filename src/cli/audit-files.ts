// Files of an audit log or a trail: finds them, and reads them as streams, plain or gzip.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { FileFormatError, FileReadError } from './failure.ts';
import { filesAt } from './files.ts';

/** Returns each path once. @throws FileReadError, also for a folder without files */
export async function pathsOf(given: readonly string[]): Promise<string[]> {
  const paths = new Set<string>();
  for (const path of given) {
    const found = await Array.fromAsync(filesAt(path));
    if (found.length === 0) throw new FileReadError(path, 'EEMPTY');
    for (const file of found) paths.add(file.path);
  }
  return [...paths];
}

/** Content of the file, unpacked. @throws FileReadError; FileFormatError for a damaged gzip file; the signal's reason */
export async function* bytesOf(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    const isPacked = await isGzip(path);
    const file = createReadStream(path);
    try {
      for await (const chunk of isPacked ? unpacked(file) : file) {
        signal.throwIfAborted();
        yield chunk as Buffer;
      }
    } finally {
      file.destroy();
    }
  } catch (error) {
    const { code = '', syscall } = error as NodeJS.ErrnoException;
    if (code.startsWith('Z_')) throw new FileFormatError(path, 'is corrupt or truncated. Download it again');
    if (syscall !== undefined) throw new FileReadError(path, code);
    throw error;
  }
}

function unpacked(file: NodeJS.ReadableStream): AsyncIterable<Buffer> {
  const gunzip = createGunzip();
  file.once('error', (error) => gunzip.destroy(error));
  return file.pipe(gunzip);
}

/** Checks the first bytes, since file names may have been changed. */
async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}
