// Files of `sealdex upload`: returns each file once, because its path is the id of the document.
import { UsageError } from './failure.ts';
import { filesAt, type FoundFile } from './files.ts';

/**
 * @throws FileReadError for a path that does not exist or cannot be read; UsageError if two paths are the same document, or if
 * there is no file
 */
export async function filesOf(given: readonly string[]): Promise<FoundFile[]> {
  const found = new Map<string, FoundFile>();
  for (const path of given) {
    for await (const file of filesAt(path)) {
      if (found.has(file.path))
        throw new UsageError(
          `${file.path} is given more than once. The path is the document id, so it must be unique.`,
        );
      found.set(file.path, file);
    }
  }
  if (found.size === 0) throw new UsageError('No files found.');
  return [...found.values()];
}
