// The files of an audit or a trail, plain or gzip: found, and read as streams. What is in them is not known here.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { FileFormatError, FileReadError } from './failure.ts';
import { filesAt } from './files.ts';

/** Each once. @throws FileUnreadable, for a folder without files too */
export async function pathsOf(given: readonly string[]): Promise<string[]> {
  const paths = new Set<string>();
  for (const path of given) {
    const found = await Array.fromAsync(filesAt(path));
    if (found.length === 0) throw new FileReadError(path, 'EEMPTY');
    for (const file of found) paths.add(file.path);
  }
  return [...paths];
}

/** What the file holds, unpacked. @throws FileUnreadable; FileFaulty for a gzip file that is damaged; the signal's reason */
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

/** By its first bytes, since names are changed on the way. */
async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}
