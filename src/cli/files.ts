// Files given to a command: lists files and folders recursively, under the given path. Reads no file.
import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FileReadError } from './failure.ts';

export interface FoundFile {
  /** The given path, or a path below the given folder. */
  readonly path: string;
  readonly filename: string;
  readonly bytes: number;
}

/** @throws FileReadError for a path that does not exist or cannot be read */
export async function* filesAt(path: string): AsyncGenerator<FoundFile> {
  const facts = await ofPath(path, () => stat(path));
  if (facts.isDirectory()) {
    const entries = await ofPath(path, () => readdir(path, { withFileTypes: true }));
    const names = entries.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    // A link to a folder may be a cycle.
    for (const entry of names)
      if (
        entry.isDirectory() ||
        entry.isFile() ||
        (entry.isSymbolicLink() && (await isLinkToFile(join(path, entry.name))))
      )
        yield* filesAt(join(path, entry.name));
    return;
  }
  if (!facts.isFile()) throw new FileReadError(path, 'ENOTFILE');
  await ofPath(path, () => access(path, constants.R_OK));
  yield { path, filename: basename(path), bytes: facts.size };
}

async function isLinkToFile(path: string): Promise<boolean> {
  const facts = await stat(path).catch(() => undefined);
  return facts?.isFile() === true;
}

async function ofPath<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new FileReadError(path, (error as NodeJS.ErrnoException).code ?? 'unknown');
  }
}
