// The npm package of sealdex: packed from a copy of the tree with a fresh build, offline.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importsOf } from '../layers/imports.ts';
import { codeOf } from '../layers/source-text.ts';
import { builtFrom } from './built-from.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly scripts: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

let copy = '';
let packed: readonly string[] = [];

/** Tracked and new files of the checkout, without installed ones. */
const COPIED = [
  'bin',
  'src',
  'test',
  'bench',
  'docs',
  'examples',
  '.ci',
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
];

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'sealdex-package-'));
  for (const path of COPIED.filter((path) => existsSync(join(ROOT, path)))) {
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  // Other checks cover the types; here only the output counts, and tsc writes it in any case.
  spawnSync(process.execPath, [
    join(ROOT, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(ROOT, 'tsconfig.json'),
    '--outDir',
    join(copy, 'dist'),
  ]);
  mkdirSync(join(copy, '.sealdex'));
  const answer = execFileSync('npm', ['pack', '--dry-run', '--json', '--offline', '--ignore-scripts'], {
    cwd: copy,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [made] = JSON.parse(answer) as { files: { path: string }[] }[];
  packed = made?.files.map(({ path }) => path) ?? [];
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

test('the package contains the bin, the build of every source, the pages, the files of the demo, and nothing else', () => {
  const pages = globSync(['docs/**/*.md', 'docs/*.yml'], { cwd: ROOT });
  const files = globSync('examples/files/*', { cwd: ROOT });
  const texts = ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE'];
  const meant = [...texts, 'bin/sealdex.js', ...builtFrom(join(ROOT, 'src')), ...pages, ...files];
  expect(packed.toSorted()).toEqual(meant.toSorted());
});

test('npm pack in a fresh clone builds first', () => {
  expect(manifest.scripts['prepack']).toBe('npm run build');
});

test('the build contains no source maps', () => {
  const code = packed.filter((path) => path.startsWith('dist/'));
  expect(code.filter((path) => readFileSync(join(copy, path), 'utf8').includes('sourceMappingURL'))).toEqual([]);
});

test('the package contains the pages linked from the README', () => {
  const links = readFileSync(join(copy, 'README.md'), 'utf8').matchAll(/\]\(([a-zA-Z][^):]*\.md)\)/g);
  const pages = [...links].map(([, page]) => page);
  expect(pages).toContain('docs/decrypt.md');
  expect(pages.filter((page) => page === undefined || !packed.includes(page))).toEqual([]);
});

test('the package contains the files named in package.json, so that import, types and command are found', () => {
  const named = [...Object.values(manifest.bin), ...Object.values(manifest.exports).flatMap(Object.values<string>)];
  expect(named.length).toBeGreaterThan(2);
  for (const path of named) expect(packed).toContain(posix.normalize(path));
});

test('the package contains every file that its files import', () => {
  const code = packed.filter((path) => path.endsWith('.js') && path.startsWith('dist/'));
  expect(code.length).toBeGreaterThan(3);
  const missing = code.flatMap((path) =>
    importsOf(codeOf(readFileSync(join(copy, path), 'utf8')))
      .filter(({ target }) => target.startsWith('.'))
      .map(({ target }) => posix.join(posix.dirname(path), target))
      .filter((target) => !packed.includes(target))
      .map((target) => `${path} imports ${target}`),
  );
  expect(missing).toEqual([]);
});
