// The files that `sealdex upload` is given: each once, as the path is the document's id.
import { UsageError } from './failure.ts';
import { filesAt, type FoundFile } from './files.ts';

/**
 * @throws FileUnreadable for what is not there or may not be read; UsageError when two paths are one document, or when
 * there is no file at all
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
