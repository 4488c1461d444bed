// Sees to it that one process at a time keeps its services in a folder: two Redis on one file would ruin it.
import { createHash } from 'node:crypto';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FolderClaim {
  stop(): Promise<void>;
}

/**
 * A socket named after the folder, which only a living process can answer at; one that a killed process left behind
 * is removed. (In the temporary folder, because the path of a socket must be short.)
 * @throws Error, one sentence, when another process holds it.
 */
export async function claimFolder(dir: string): Promise<FolderClaim> {
  await mkdir(dir, { recursive: true });
  const name = createHash('sha256')
    .update(await realpath(dir))
    .digest('hex')
    .slice(0, 24);
  const path = join(tmpdir(), `sealdex-${name}.sock`);
  const server = await listen(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    if (await answers(path)) throw new Error(`Another process runs its services in ${dir}. Stop it first.`);
    await rm(path, { force: true });
    return listen(path);
  });
  let stopping: Promise<void> | undefined;
  return { stop: () => (stopping ??= new Promise((resolve) => server.close(() => resolve()))) };
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
