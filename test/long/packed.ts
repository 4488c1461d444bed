// Packed packages as users get them: tarballs of the checkout, projects that install them, and supported Nodes.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const run = promisify(execFile);

/** npm and its scripts run under the Node of this test. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` };

interface Manifest {
  readonly engines: { readonly node: string };
  readonly devDependencies: Readonly<Record<string, string>>;
}

export const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

/** Tarballs of all packages by the name of the package, from a fresh build. */
export async function packAll(folder: string): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await run(process.execPath, [join(ROOT, '.ci/pack.js'), folder], { env });
  const tarballs = stdout.trim().split('\n');
  return new Map(tarballs.map((path) => [/^(?:.*\/)?(.+)-\d+\.\d+\.\d+\.tgz$/.exec(path)?.[1] ?? '', path]));
}

/** Installs packages into an empty project, as `npm install` does for a user, install scripts included. */
export async function installInto(project: string, packages: readonly string[], settings: object = {}): Promise<void> {
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module', ...settings }));
  const options = ['--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', ['install', ...options, ...packages], { cwd: project, env });
}

/**
 * Path of a Node of that version or release line: the one that runs the tests, or one of the npm package `node`, which is
 * kept in the checkout for the next run.
 */
export async function nodeOf(version: string): Promise<string> {
  if (`${process.version}.`.startsWith(`v${version}.`)) return process.execPath;
  const project = join(ROOT, '.sealdex/node', version);
  const node = join(project, 'node_modules/node/bin/node');
  // An interrupted installation has no working one.
  const isInstalled = await run(node, ['--version']).then(
    () => true,
    () => false,
  );
  if (isInstalled) return node;
  rmSync(project, { recursive: true, force: true });
  await installInto(project, [`node@${version}`], { allowScripts: { node: true } });
  return node;
}

const BLOCK_BYTES = 4096;

/** Disk usage of a folder's files with the usual blocks. */
export function bytesOnDisk(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).size)
    .reduce((sum, size) => sum + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES, 0);
}

/** Paths, below the project, of files compiled during an installation. */
export function nativeBuilds(project: string): string[] {
  const { packages } = JSON.parse(readFileSync(join(project, 'node_modules/.package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, object>>;
  };
  return Object.keys(packages)
    .map((path) => join(path, 'build'))
    .filter((path) => existsSync(join(project, path, 'Makefile')) || existsSync(join(project, path, 'Release')));
}
