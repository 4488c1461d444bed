// Redis download: fetches the redis-server packages of Debian or Ubuntu into one folder, with apt's state in it.
// Needs no root, installs nothing, and changes nothing outside the folder.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const FETCH_DEADLINE_MS = 180_000;
const ADVICE =
  'No redis-server was found: install one (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis) and try again.';

/**
 * Unpacks the packages into `folder`. They are unpacked and checked in a temporary folder, which is then renamed. A parallel
 * or interrupted fetch is therefore harmless: the second one uses the existing folder.
 */
export async function fetchRedis(
  folder: string,
  check: (extracted: string) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const temp = await folderBeside(folder).catch((cause: unknown) => {
    throw new Error(`${ADVICE} Fetching its packages failed: ${(cause as Error).message}`, { cause });
  });
  try {
    const extracted = join(temp, 'root');
    await fetchInto(temp, extracted, signal).catch((cause: unknown) => {
      signal?.throwIfAborted();
      throw new Error(`${ADVICE} Fetching its packages failed: ${(cause as Error).message}`, { cause });
    });
    await check(extracted);
    await rename(extracted, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

async function folderBeside(folder: string): Promise<string> {
  const within = dirname(folder);
  await mkdir(within, { recursive: true });
  return mkdtemp(join(within, `.${basename(folder)}-`));
}

/** Keeps all of apt's state in `temp`, and disables the system's hooks. */
const aptConfig = (temp: string): string => `
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::Lists "${temp}/lists";
Dir::Cache "${temp}/cache";
APT::Sandbox::User "root";
Debug::NoLocking "true";
`;

/** `'http://…/x.deb' libfoo_1%3a2_amd64.deb 123 MD5Sum:…` names the package before the underscore. */
const packagesIn = (plan: string): string[] =>
  plan
    .split('\n')
    .map((line) => /^'[^']+' ([a-z0-9.+-]+)_\S+\.deb /.exec(line)?.[1])
    .filter((name) => name !== undefined);

async function fetchInto(temp: string, extracted: string, signal: AbortSignal | undefined): Promise<void> {
  const debs = join(temp, 'debs');
  await Promise.all([
    mkdir(join(temp, 'lists', 'partial'), { recursive: true }),
    mkdir(join(temp, 'cache', 'archives', 'partial'), { recursive: true }),
    mkdir(debs, { recursive: true }),
    mkdir(extracted, { recursive: true }),
  ]);
  const config = join(temp, 'apt.conf');
  await writeFile(config, aptConfig(temp));
  await run('apt-get', ['-c', config, '-qq', 'update'], debs, signal);
  // The packages that an installation would add: redis-server and the libraries that this machine lacks.
  const plan = await run(
    'apt-get',
    ['-c', config, 'install', '-y', '--no-install-recommends', '--print-uris', 'redis-server'],
    debs,
    signal,
  );
  const packages = packagesIn(plan);
  if (packages.length === 0) throw new Error('apt-get knows no package redis-server');
  await run('apt-get', ['-c', config, '-qq', 'download', ...packages], debs, signal);
  for (const deb of (await readdir(debs)).filter((name) => name.endsWith('.deb'))) {
    await run('dpkg', ['-x', join(debs, deb), extracted], debs, signal);
  }
}

function run(command: string, args: string[], cwd: string, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: FETCH_DEADLINE_MS,
      killSignal: 'SIGKILL',
      ...(signal === undefined ? {} : { signal }),
    });
    let out = '';
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-1000)));
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new Error(`there is no ${command} here`) : error),
    );
    child.on('close', (status, signal) =>
      status === 0 ? resolve(out) : reject(new Error(`${command} ended with ${status ?? signal}: ${complaint.trim()}`)),
    );
  });
}
