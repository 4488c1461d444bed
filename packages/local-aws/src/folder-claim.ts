// Folder claim: only one process at a time may keep its services in a folder. Two Redis processes would corrupt one file.
import { createHash } from 'node:crypto';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FolderClaim {
  stop(): Promise<void>;
}

/**
 * Listens on a socket named after the folder, to which clients can connect only while the process runs. Removes the socket of
 * a killed process. It is in the temporary folder, because the path of a socket must be short.
 * @throws Error, one sentence, if another process holds the folder
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
    if (await isListening(path)) throw new Error(`Another process runs its services in ${dir}. Stop it first.`);
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

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
