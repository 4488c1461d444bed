// Redis binary: finds redis-server or valkey-server on PATH or in .sealdex/redis of the project, or fetches it into that folder.
import { execFile } from 'node:child_process';
import { access, constants, readdir } from 'node:fs/promises';
import { delimiter, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fetchRedis } from './redis-fetch.ts';

export interface RedisBinary {
  readonly path: string;
  /** Environment variables that it needs to find its libraries. */
  readonly env: Record<string, string>;
}

const NAMES = ['redis-server', 'valkey-server'];

/**
 * The folder for a fetched Redis, for a module of this package at `path`: `.sealdex/redis` of the checkout, or of the
 * project in which the package is installed. The next installation would delete a folder in node_modules.
 */
export function redisFolderOf(path: string): string {
  const parts = path.split(sep);
  const installed = parts.indexOf('node_modules');
  const project = installed === -1 ? join(path, '../../../../..') : parts.slice(0, installed).join(sep);
  return join(project === '' ? sep : project, '.sealdex', 'redis');
}

const REDIS_FOLDER = redisFolderOf(fileURLToPath(import.meta.url));

export interface FindOptions {
  readonly folder?: string;
  readonly searchPath?: string;
  readonly signal?: AbortSignal;
}

/**
 * Finds a server binary. On Debian and Ubuntu, fetches packages into `folder` if there is none, without root.
 * @throws Error that names the command to run, if no binary can be found or fetched
 */
export async function findRedis(options: FindOptions = {}): Promise<RedisBinary> {
  const { folder = REDIS_FOLDER, searchPath = process.env['PATH'] ?? '', signal } = options;
  const found = (await onPath(searchPath)) ?? (await inFolder(folder));
  if (found) return found;
  await fetchRedis(folder, runs, signal);
  const fetched = await inFolder(folder);
  if (!fetched) throw new Error(`No redis-server found in ${folder}. Delete that directory and try again.`);
  return fetched;
}

/** Checks that the extracted binary runs on this machine. */
async function runs(extracted: string): Promise<void> {
  const binary = await inFolder(extracted);
  if (!binary) throw new Error('The downloaded packages do not contain redis-server. Install it and try again.');
  await promisify(execFile)(binary.path, ['--version'], { env: { ...process.env, ...binary.env }, timeout: 10_000 });
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

async function onPath(searchPath: string): Promise<RedisBinary | undefined> {
  for (const dir of searchPath.split(delimiter).filter((dir) => dir !== '')) {
    for (const name of NAMES) {
      const path = join(dir, name);
      if (await isExecutable(path)) return { path, env: {} };
    }
  }
  return undefined;
}

async function inFolder(folder: string): Promise<RedisBinary | undefined> {
  for (const name of NAMES) {
    const path = join(folder, 'usr', 'bin', name);
    if (await isExecutable(path)) return { path, env: { LD_LIBRARY_PATH: (await libraryFolders(folder)).join(':') } };
  }
  return undefined;
}

/** Debian installs libraries in lib/<triplet> or usr/lib/<triplet>. */
async function libraryFolders(folder: string): Promise<string[]> {
  const roots = [join(folder, 'usr', 'lib'), join(folder, 'lib')];
  const found = await Promise.all(
    roots.map(async (root) => {
      const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name));
    }),
  );
  return found.flat();
}
