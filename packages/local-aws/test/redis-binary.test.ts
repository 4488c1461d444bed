// Where a redis-server comes from; one test fetches it for real, into a folder of its own.
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findRedis, redisFolderOf } from '../src/redis/redis-binary.ts';
import { eventually } from './eventually.ts';

const run = promisify(execFile);
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
});

afterEach(() => rm(dir, { recursive: true, force: true }));

async function executable(...path: string[]): Promise<string> {
  const file = join(dir, ...path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, '#!/bin/sh\n');
  await chmod(file, 0o755);
  return file;
}

test('a redis-server or valkey-server on PATH is used', async () => {
  const valkey = await executable('one', 'valkey-server');
  const redis = await executable('two', 'redis-server');
  const none = join(dir, 'none');
  expect(await findRedis({ folder: none, searchPath: `/nowhere:${join(dir, 'one')}` })).toEqual({
    path: valkey,
    env: {},
  });
  expect(await findRedis({ folder: none, searchPath: `${join(dir, 'two')}:${join(dir, 'one')}` })).toEqual({
    path: redis,
    env: {},
  });
});

test('a downloaded Redis is found with the folders of its libraries', async () => {
  const path = await executable('redis', 'usr', 'bin', 'redis-server');
  const libraries = join(dir, 'redis', 'usr', 'lib', 'x86_64-linux-gnu');
  await mkdir(libraries, { recursive: true });
  expect(await findRedis({ folder: join(dir, 'redis'), searchPath: '/nowhere' })).toEqual({
    path,
    env: { LD_LIBRARY_PATH: libraries },
  });
});

describe('a downloaded Redis is stored in .sealdex/redis', () => {
  test('in the checkout', () => {
    const module = fileURLToPath(new URL('../src/redis/redis-binary.ts', import.meta.url));
    expect(redisFolderOf(module)).toBe(fileURLToPath(new URL('../../../.sealdex/redis', import.meta.url)));
    expect(redisFolderOf('/srv/checkout/packages/local-aws/dist/redis/redis-binary.js')).toBe(
      '/srv/checkout/.sealdex/redis',
    );
  });

  test.each([
    '/home/me/app/node_modules/@sealdex/local-aws/dist/redis/redis-binary.js',
    '/home/me/app/node_modules/sealdex/node_modules/@sealdex/local-aws/dist/redis/redis-binary.js',
    '/home/me/app/node_modules/.pnpm/a@1/node_modules/@sealdex/local-aws/dist/redis/redis-binary.js',
  ])('in the project with the package in its node_modules: %s', (module) => {
    expect(redisFolderOf(module)).toBe('/home/me/app/.sealdex/redis');
  });
});

test('a failure to create the folder is one sentence that names the command to run', async () => {
  await writeFile(join(dir, 'file'), '');
  await expect(findRedis({ folder: join(dir, 'file', 'redis'), searchPath: '/nowhere' })).rejects.toThrow(
    /^No redis-server was found: .*apt-get install redis.* Fetching its packages failed: E/,
  );
});

test('two parallel downloads into one folder end with one working Redis, and no other files', async ({ skip }) => {
  await run('apt-get', ['--version']).catch(() => skip('only Debian and Ubuntu have apt-get'));
  const folder = join(dir, 'redis');
  const options = { folder, searchPath: '/nowhere' };
  const [first, second] = await Promise.all([findRedis(options), findRedis(options)]);
  expect(first).toEqual(second);
  const { stdout } = await run(first.path, ['--version'], { env: first.env });
  expect(stdout).toMatch(/^(Redis|Valkey) server v=/);
  expect(await readdir(dir)).toEqual(['redis']);
});

test('a failed download is one sentence that names the command to run, and leaves nothing', async () => {
  const before = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    await expect(findRedis({ folder: join(dir, 'redis') })).rejects.toThrow(
      /^No redis-server was found: .*apt-get install redis/,
    );
  } finally {
    process.env['PATH'] = before;
  }
  expect(await readdir(dir)).toEqual([]);
});

test('a download can be aborted and leaves nothing', async () => {
  const controller = new AbortController();
  const fetching = findRedis({ folder: join(dir, 'redis'), searchPath: '/nowhere', signal: controller.signal });
  await eventually(async () => (await readdir(dir)).length === 1);
  controller.abort(new Error('changed my mind'));
  await expect(fetching).rejects.toThrow('changed my mind');
  expect(await readdir(dir)).toEqual([]);
});
