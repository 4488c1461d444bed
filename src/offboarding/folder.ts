// The folder of an export: that it is one of this tenant, and that nothing in it leads elsewhere.
// What stands in its files is not known here.
import { existsSync, readFileSync, type Dirent } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SealdexError } from '../runtime/errors.ts';
import { createExclusive } from './lock.ts';

/** Says that the folder is an export's, and of whom. */
const MARK = '.sealdex-export.json';

/** But for marks that were not finished, or are about to be. */
const isEmpty = async (dir: string): Promise<boolean> =>
  (await readdir(dir)).every((name) => name.startsWith(`${MARK}.`));

const refused = (text: string): SealdexError => new SealdexError('DOCUMENT_INVALID', text, { field: 'dir' });

/** Makes the folder, or finds that it is an export of this tenant. @throws SealdexError `DOCUMENT_INVALID` with field `dir` */
export async function claim(dir: string, tenant: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const mark = join(dir, MARK);
  const text = `${JSON.stringify({ v: 1, tenant })}\n`;
  const isOurs = (): boolean => existsSync(mark) && readFileSync(mark, 'utf8') === text;
  // Of two tenants' exports that find it empty, one makes the mark.
  if (isOurs() || ((await isEmpty(dir)) && (await createExclusive(mark, text))) || isOurs())
    return refuseLinks(dir, tenant);
  throw refused(`${dir} is not empty and is not an export of tenant ${tenant}. Use an empty or new directory.`);
}

/** Whoever may write into the folder could have us write, and remove, wherever a link of theirs leads. */
async function refuseLinks(dir: string, tenant: string): Promise<void> {
  // From above: none of them is reached by a link. What lies in a corpus is a file, which is replaced and not written to.
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
