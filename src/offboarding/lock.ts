// One run at a time writes into the folder of an export: a file says which, and who finds that it is dead takes over.
// Other machines' processes cannot be looked for: what one of them has left there is removed by hand.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { SealdexError } from '../runtime/errors.ts';

const LOCK = '.sealdex-export.lock';

const holder = z.object({ pid: z.int().positive(), host: z.string(), run: z.string() });

/** Runs of this process. In a container every process may have the same number as the one that died before it. */
const running = new Set<string>();

/** Two of them, each taking over from a dead one that the other had taken over from, and one more. */
const TRIES = 3;

/** Held until it is disposed of. @throws SealdexError `DOCUMENT_INVALID` with field `dir` while another run holds it */
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
    if (held !== undefined && !isOfTheDead(held)) break;
    if (held !== undefined) await takeAway(path, held);
  }
  throw new SealdexError(
    'DOCUMENT_INVALID',
    `Another export is writing to ${dir}. Wait for it to finish. If none is running, delete ${path} and try again.`,
    { field: 'dir' },
  );
}

/** Answers whether there was no such file; a link that leads nowhere is one. What is made is whole, whenever this ends. */
export async function createExclusive(path: string, text: string): Promise<boolean> {
  const beside = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await writeFile(beside, text, { flag: 'wx' });
    await link(beside, path).catch((error: NodeJS.ErrnoException) => {
      // Not every disk that is carried about knows hard links; of a copy that fails nothing is left either.
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

/** What cannot be read may be about to be written. */
function isOfTheDead(text: string): boolean {
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

/** Moved aside first, which only one of two can do; what was somebody else's new one by then is given back. */
async function takeAway(path: string, dead: string): Promise<void> {
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
