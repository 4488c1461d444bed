// All packages packed and installed into an empty project, as a user has them: the services, a worker, readers of files.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** npm scripts and commands run under the Node of this test. */
const PATH = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`;

const run = promisify(execFile);

let folder = '';
let project = '';
const commandOf = (name: string): string => join(project, 'node_modules/.bin', name);

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'sealdex-installed-')));
  project = join(folder, 'project');
  mkdirSync(join(project, '.sealdex'), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  // Fetched packages of the checkout spare fetching them again.
  const redis = join(ROOT, '.sealdex/redis');
  if (existsSync(redis)) symlinkSync(redis, join(project, '.sealdex/redis'));
  const env = { ...process.env, PATH };
  const { stdout } = await run(process.execPath, [join(ROOT, '.ci/pack.js'), join(folder, 'packed')], { env });
  const tarballs = stdout.trim().split('\n');
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const judge = `@aws-crypto/client-node@${devDependencies['@aws-crypto/client-node']}`;
  const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  await run('npm', ['install', ...options, ...tarballs, judge], { cwd: project, env });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the installed packages hold no sources', () => {
  for (const name of ['sealdex', '@sealdex/local-aws', '@sealdex/extract']) {
    expect(existsSync(join(project, 'node_modules', name, 'package.json'))).toBe(true);
    expect(existsSync(join(project, 'node_modules', name, 'src'))).toBe(false);
  }
});

test('local-aws starts all services and stops them on SIGTERM', async () => {
  const child = spawn(commandOf('local-aws'), [], {
    cwd: project,
    env: { PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await printed(child.stdout, 'Ready.');
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([0, null]);
});

test('sealdex dev starts a worker and stops on SIGINT, and writes nothing into node_modules', async () => {
  const child = spawn(commandOf('sealdex'), ['dev'], {
    cwd: project,
    env: { PATH },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await printed(child.stderr, 'Ready:');
  expect(existsSync(join(project, '.sealdex/env'))).toBe(true);
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(existsSync(join(project, 'node_modules/.sealdex'))).toBe(false);
});

test('sealdex extract reads a file', async () => {
  const file = join(ROOT, 'examples/files/parking.pdf');
  const { stdout } = await run(commandOf('sealdex'), ['extract', file], { cwd: project, env: { PATH } });
  expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({ source: { contentType: 'application/pdf' } });
});

test('sealdex demo --json ends with exit code 0', async () => {
  const { stdout } = await run(commandOf('sealdex'), ['demo', '--json'], { cwd: project, env: { PATH } });
  expect(JSON.parse(stdout)).toMatchObject({ failed: 0, readBack: true });
});

/** Waits for a text in what a process prints. */
async function printed(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  let output = '';
  const reading = new Promise<void>((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes(text)) resolve();
    });
    stream.once('end', () => reject(new Error(`The process ended before it printed ${text}: ${output}`)));
  });
  await reading;
}
