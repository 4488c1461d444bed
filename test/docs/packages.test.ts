// The npm packages of packages/: staged from a fresh build, packed offline.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, posix } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importsOf } from '../layers/imports.ts';
import { codeOf } from '../layers/source-text.ts';
import { builtFrom } from './built-from.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly version: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly publishConfig?: { readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>> };
  readonly files?: readonly string[];
  readonly scripts?: Readonly<Record<string, string>>;
  readonly keywords: readonly string[];
  readonly homepage: string;
  readonly bugs: string;
  readonly repository: Readonly<Record<string, string>>;
  readonly sideEffects: boolean;
}

const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

const pathsOf = (target: unknown): string[] => Object.values(target as Record<string, string>);

const root = manifestOf(ROOT);
const PACKAGES = globSync('packages/*/package.json', { cwd: ROOT })
  .map((path) => posix.dirname(path))
  .filter((path) => manifestOf(join(ROOT, path)).publishConfig);

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealdex-packages-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the repository has a package to pack', () => {
  expect(PACKAGES).toEqual(expect.arrayContaining(['packages/extract', 'packages/local-aws']));
});

test.each(['.', ...PACKAGES])('%s names its repository, its pages and its keywords for npm', (path) => {
  const { keywords, homepage, bugs, repository, sideEffects } = manifestOf(join(ROOT, path));
  const url = 'https://github.com/sealdex/sealdex';
  expect(repository).toEqual({ type: 'git', url: `git+${url}.git`, ...(path !== '.' && { directory: path }) });
  expect({ homepage, bugs, sideEffects }).toEqual({
    homepage: `${url}${path === '.' ? '' : `/tree/main/${path}`}#readme`,
    bugs: `${url}/issues`,
    sideEffects: false,
  });
  expect(keywords).toEqual([...new Set(keywords)].toSorted());
  expect(keywords.length).toBeGreaterThan(5);
});

test.each(['.', ...PACKAGES])('the README of %s names the Node version of engines', (path) => {
  const least = root.engines['node']?.replace('>=', '');
  expect(readFileSync(join(ROOT, path, 'README.md'), 'utf8')).toContain(`Node ${least} or later`);
});

describe.each(PACKAGES)('%s', (path) => {
  const source = manifestOf(join(ROOT, path));
  let staged = '';
  let packed: readonly string[] = [];

  beforeAll(() => {
    const copy = join(folder, 'copy', path);
    staged = join(folder, 'staged', basename(path));
    for (const name of ['package.json', 'README.md', 'bin']) {
      if (existsSync(join(ROOT, path, name))) cpSync(join(ROOT, path, name), join(copy, name), { recursive: true });
    }
    // Types are checked elsewhere.
    const tsc = [
      join(ROOT, 'node_modules/typescript/bin/tsc'),
      '-p',
      join(ROOT, path, 'tsconfig.build.json'),
      '--noCheck',
    ];
    execFileSync(process.execPath, [...tsc, '--outDir', join(copy, 'dist')]);
    execFileSync(process.execPath, [join(ROOT, '.ci/stage.js'), copy, staged]);
    const options = ['--dry-run', '--json', '--offline', '--ignore-scripts'];
    const answer = execFileSync('npm', ['pack', ...options], { cwd: staged, encoding: 'utf8' });
    const [made] = Object.values(JSON.parse(answer) as Record<string, { files: { path: string }[] }>);
    packed = made?.files.map((file) => file.path) ?? [];
  });

  test('contains README, license, manifest, its commands, the build of every source, and nothing else', () => {
    const commands = Object.values(source.bin ?? {}).map((file) => posix.normalize(file));
    const meant = ['package.json', 'README.md', 'LICENSE', ...commands, ...builtFrom(join(ROOT, path, 'src'))];
    expect(packed.toSorted()).toEqual(meant.toSorted());
  });

  test('exports existing files of the build, while the checkout exports sources', () => {
    const manifest = manifestOf(staged);
    expect(Object.values(source.exports)).toEqual([expect.stringMatching(/^\.\/src\/.*\.ts$/)]);
    expect(manifest.exports).toEqual(source.publishConfig?.exports);
    const named = [...Object.values(manifest.bin ?? {}), ...Object.values(manifest.exports).flatMap(pathsOf)];
    expect(named.length).toBeGreaterThan(1);
    for (const file of named) expect(packed).toContain(posix.normalize(file));
  });

  test('can only be published as staged', () => {
    expect(source.private).toBe(true);
    expect(source.scripts?.['prepack']).toContain('process.exit(1)');
    expect(manifestOf(staged)).not.toHaveProperty('private');
    expect(manifestOf(staged)).not.toHaveProperty('scripts');
  });

  test('has every file that its files import', () => {
    const code = packed.filter((name) => name.endsWith('.js'));
    const missing = code.flatMap((name) =>
      importsOf(codeOf(readFileSync(join(staged, name), 'utf8')))
        .filter(({ target }) => target.startsWith('.'))
        .map(({ target }) => posix.join(posix.dirname(name), target))
        .filter((target) => !packed.includes(target))
        .map((target) => `${name} imports ${target}`),
    );
    expect(missing).toEqual([]);
  });

  test("has the version and the Node of sealdex, with sealdex's optional peer dependency on it", () => {
    const { peerDependencies, peerDependenciesMeta } = root as Manifest & {
      readonly peerDependencies: Readonly<Record<string, string>>;
      readonly peerDependenciesMeta: Readonly<Record<string, object>>;
    };
    expect(source).toMatchObject({ version: root.version, engines: root.engines });
    expect(peerDependencies[source.name]).toBe(`^${root.version}`);
    expect(peerDependenciesMeta[source.name]).toEqual({ optional: true });
  });
});
