// The demo's documents: which files of the installed packages are taken, and that every run takes the same.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCorpus } from '../../src/demo/corpus.ts';
import { NODE_MODULES } from '../../src/demo/demo.ts';

const { signal } = new AbortController();
const BOUNDS = { files: 100, leastBytes: 10, mostBytes: 100 };

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealdex-corpus-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(path: string, content: string | Buffer = `the page at ${path}`): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

const paths = async (bounds = BOUNDS): Promise<string[]> =>
  (await readCorpus(folder, signal, bounds)).map(({ path }) => path);

test('pages of packages, of scopes and of packages inside others are found, and nothing else', async () => {
  const pages = [
    '@scope/b/CHANGELOG.markdown',
    'a/LICENSE',
    'a/LICENSE-MIT',
    'a/README.md',
    'a/docs/deep/page.txt',
    'a/node_modules/c/readme',
  ];
  for (const page of pages) await put(page);
  for (const other of [
    '.cache/x/README.md',
    'a/.github/README.md',
    'a/index.js',
    'a/license.js',
    'a/test/README.md',
    'README.md',
  ])
    await put(other);
  await symlink(join(folder, 'a'), join(folder, 'linked'));
  expect(await paths()).toEqual(pages);
});

test('files that are too small or too large, no UTF-8 or blank are left out, and equal ones are one', async () => {
  await put('a/README.md', 'one and the same text');
  await put('b/README.md', 'one and the same text');
  await put('c/README.md', 'too small');
  await put('d/README.md', 'x'.repeat(101));
  await put('e/README.md', Buffer.from([0xff, 0xfe, ...Buffer.alloc(20, 65)]));
  await put('f/README.md', '\n'.repeat(50));
  await put('g/README.md', 'x'.repeat(100));
  expect(await paths()).toEqual(['a/README.md', 'g/README.md']);
});

test('of many the same few are taken, whatever order the folders were made in', async () => {
  const names = Array.from({ length: 30 }, (_, index) => `p${index}/README.md`);
  for (const name of names) await put(name);
  const few = await paths({ ...BOUNDS, files: 7 });
  expect(few).toHaveLength(7);
  expect(few).toEqual(few.toSorted());
  await rm(folder, { recursive: true });
  for (const name of names.toReversed()) await put(name);
  expect(await paths({ ...BOUNDS, files: 7 })).toEqual(few);
});

test('a file tells its package and version, and a package that does not is named by its folder', async () => {
  await put('@scope/b/package.json', '{ "name": "@scope/b", "version": "1.2.3" }');
  await put('@scope/b/docs/page.md', 'a page with a text');
  await put('c/page.md', 'another page with a text');
  await put('d/package.json', 'no JSON');
  await put('d/page.md', 'a third page with a text');
  expect(await readCorpus(folder, signal, BOUNDS)).toEqual([
    { path: '@scope/b/docs/page.md', package: '@scope/b', version: '1.2.3', text: 'a page with a text', bytes: 18 },
    { path: 'c/page.md', package: 'c', version: 'unknown', text: 'another page with a text', bytes: 24 },
    { path: 'd/page.md', package: 'd', version: 'unknown', text: 'a third page with a text', bytes: 24 },
  ]);
});

test('an abort ends the search for files', async () => {
  await put('a/README.md');
  await expect(readCorpus(folder, AbortSignal.abort(new Error('enough')), BOUNDS)).rejects.toThrow('enough');
});

test('the installed packages give some 300 different documents of 1 to 200 KB', async () => {
  const files = await readCorpus(NODE_MODULES, signal);
  expect(files.length).toBeGreaterThan(200);
  expect(files.length).toBeLessThanOrEqual(300);
  expect(new Set(files.map(({ text }) => text)).size).toBe(files.length);
  expect(new Set(files.map(({ path }) => path)).size).toBe(files.length);
  expect(Math.min(...files.map(({ bytes }) => bytes))).toBeGreaterThanOrEqual(1024);
  expect(Math.max(...files.map(({ bytes }) => bytes))).toBeLessThanOrEqual(200 * 1024);
});
