// Export lock: a file that lets one run at a time write to the folder. A run takes over the lock of a dead process.
// Processes of other hosts cannot be checked, so their stale lock must be deleted by the operator.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { SealdexError } from '../runtime/errors.ts';

const LOCK = '.sealdex-export.lock';

const holder = z.object({ pid: z.int().positive(), host: z.string(), run: z.string() });

/** Runs of this process. In a container a new process may have the same pid as the one that died before it. */
const running = new Set<string>();

/** Two attempts may fail when two runs take over from dead ones at the same time. */
const TRIES = 3;

/** Held until disposed. @throws SealdexError `DOCUMENT_INVALID` with field `dir` while another run holds it */
export async function lockFolder(dir: string): Promise<AsyncDisposable> {
  const path = join(dir, LOCK);
  const run = randomBytes(8).toString('hex');
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), run });
  for (let tries = 0; tries < TRIES; tries++) {
    if (await createExclusive(path, mine)) {
      running.add(run);
      return {
        async [Symbol.asyncDispose]() {
          running.delete(run);
          if ((await textOf(path)) === mine) await rm(path, { force: true });
        },
      };
    }
    const held = await textOf(path);
    if (held !== undefined && !isStale(held)) break;
    if (held !== undefined) await removeStale(path, held);
  }
  throw new SealdexError(
    'DOCUMENT_INVALID',
    `Another export is writing to ${dir}. Wait for it to finish. If none is running, delete ${path} and try again.`,
    { field: 'dir' },
  );
}

/** Returns true if the file was created, false if it or a link exists. The file is complete even if this is interrupted. */
export async function createExclusive(path: string, text: string): Promise<boolean> {
  const beside = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await writeFile(beside, text, { flag: 'wx' });
    await link(beside, path).catch((error: NodeJS.ErrnoException) => {
      // Some file systems have no hard links. A copy that fails leaves no file either.
      if (!['EPERM', 'ENOTSUP', 'ENOSYS'].includes(error.code ?? '')) throw error;
      return copyFile(beside, path, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(beside, { force: true });
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** False for unreadable text, which may be a file that is being written. */
function isStale(text: string): boolean {
  const { pid, host, run } = parsed(text) ?? {};
  if (pid === undefined || run === undefined || host !== hostname()) return false;
  if (pid === process.pid) return !running.has(run);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function parsed(text: string): z.infer<typeof holder> | undefined {
  try {
    return holder.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Renames the lock first, which only one of two runs can do. If it was replaced by a new lock since, restores that. */
async function removeStale(path: string, dead: string): Promise<void> {
  const aside = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await textOf(aside)) !== dead) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}
