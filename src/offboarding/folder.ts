// Export folder: checks that the folder belongs to an export of this tenant, and that it contains no links.
import { existsSync, readFileSync, type Dirent } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SealdexError } from '../runtime/errors.ts';
import { createExclusive } from './lock.ts';

/** Marks the folder as an export, and names the tenant. */
const MARK = '.sealdex-export.json';

/** Ignores temporary files of a mark that is unfinished or being written. */
const isEmpty = async (dir: string): Promise<boolean> =>
  (await readdir(dir)).every((name) => name.startsWith(`${MARK}.`));

const refused = (text: string): SealdexError => new SealdexError('DOCUMENT_INVALID', text, { field: 'dir' });

/** Makes the folder, or checks that it is an export of this tenant. @throws SealdexError `DOCUMENT_INVALID` with field `dir` */
export async function claim(dir: string, tenant: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const mark = join(dir, MARK);
  const text = `${JSON.stringify({ v: 1, tenant })}\n`;
  const isClaimed = (): boolean => existsSync(mark) && readFileSync(mark, 'utf8') === text;
  // If two exports find the folder empty, only one creates the mark.
  if (isClaimed() || ((await isEmpty(dir)) && (await createExclusive(mark, text))) || isClaimed())
    return refuseLinks(dir, tenant);
  throw refused(`${dir} is not empty and is not an export of tenant ${tenant}. Use an empty or new directory.`);
}

/** A link in the folder could make the export write or delete files elsewhere. */
async function refuseLinks(dir: string, tenant: string): Promise<void> {
  // Top down, so that no folder is reached through a link. Files in a corpus are replaced, never written to.
  for (const folder of ['', 'documents', `documents/${tenant}`, 'originals', `originals/${tenant}`])
    for (const entry of await entriesOf(join(dir, folder)))
      if (!entry.isDirectory() && !entry.isFile())
        throw refused(
          `${join(dir, folder, entry.name)} is neither a file nor a folder, but a link or the like: remove it, or give a folder that is empty.`,
        );
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
