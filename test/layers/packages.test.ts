// Restricts each package of packages/ to its own files and dependencies, and proves that a planted violation is reported.
import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import { forbiddenNames } from './file-rules.ts';
import { importsOf } from './imports.ts';
import { packageFaultsOf } from './package-rules.ts';
import { codeOf } from './source-text.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const PACKAGES = globSync('packages/*/package.json', { cwd: ROOT }).map((path) =>
  path.split(sep).slice(0, 2).join('/'),
);

const filesBelow = (folder: string): Map<string, string> =>
  new Map(
    globSync('**/*.{ts,js}', { cwd: join(ROOT, folder), exclude: (name) => name === 'node_modules' }).map((path) => [
      path.split(sep).join('/'),
      readFileSync(join(ROOT, folder, path), 'utf8'),
    ]),
  );

function dependenciesOf(folder: string): string[] {
  const text = readFileSync(join(ROOT, folder, 'package.json'), 'utf8');
  return Object.keys((JSON.parse(text) as { dependencies?: Record<string, string> }).dependencies ?? {});
}

test('the repository has a package to check', () => {
  expect(PACKAGES).toContain('packages/local-aws');
});

describe.each(PACKAGES)('%s', (folder) => {
  test('imports only its own files, its own dependencies and modules of Node', () => {
    const files = filesBelow(`${folder}/src`);
    expect(files.size).toBeGreaterThan(3);
    expect(packageFaultsOf(files, dependenciesOf(folder))).toEqual([]);
  });

  test('has specific names for files and folders', () => {
    const paths = ['src', 'test', 'bin'].flatMap((part) => [...filesBelow(`${folder}/${part}`).keys()]);
    expect(paths.filter((path) => forbiddenNames(path).length > 0)).toEqual([]);
  });

  test('has tests that import no file outside the package', () => {
    const outside = [...filesBelow(`${folder}/test`)].flatMap(([path, source]) => {
      const up = '../'.repeat(path.split('/').length + 1);
      return importsOf(codeOf(source)).flatMap(({ target }) => (target.startsWith(up) ? [`${path}: ${target}`] : []));
    });
    expect(outside).toEqual([]);
  });
});

/** A package that follows every rule; each test below adds one violation. */
const SOUND: Record<string, string> = {
  'index.ts': "export { start } from './s3/server.ts';",
  's3/server.ts':
    "import { once } from 'node:events';\nimport { buildApp } from 'fauxqs';\nimport { port } from '../ports.ts';\nexport const start = () => [once, buildApp, port];",
  'ports.ts': 'export const port = 1;',
};

const faultsWith = (planted: Record<string, string>): string[] =>
  packageFaultsOf(new Map(Object.entries({ ...SOUND, ...planted })), ['fauxqs']);

test('a package that follows every rule has no violation', () => {
  expect(faultsWith({})).toEqual([]);
});

describe('a planted violation is reported', () => {
  test.each<[path: string, source: string, fault: string]>([
    [
      'ports.ts',
      "import { now } from '../../../src/runtime/clock.ts';\nnow();",
      ':1: imports ../../../src/runtime/clock.ts, which is no file of the package',
    ],
    [
      'ports.ts',
      "import { Redis } from 'ioredis';\nRedis;",
      ':1: imports ioredis, which its package.json does not name',
    ],
    [
      'ports.ts',
      "import type { Reader } from 'sealdex';\nlet a;",
      ':1: imports sealdex, which its package.json does not name',
    ],
    ['ports.ts', "import { join } from 'path';\njoin();", ':1: writes path without node:'],
    ['ports.ts', 'await import(name);', ':1: imports what no reader can know: import() takes a literal'],
    ['ports.ts', "require('fauxqs');", ':1: uses require'],
    ['ports.ts', 'export default 1;', ': has a default export'],
    ['all.ts', "export * from './ports.ts';", ': only re-exports: a barrel'],
    ['s3/utils.ts', 'let a;', ': nothing is named utils'],
    ['ports.ts', "import './s3/server.ts';\nlet a;", ': imports itself: s3/server.ts -> ports.ts -> s3/server.ts'],
  ])('in %s: %s', (path, source, fault) => {
    const reported = faultsWith({ [path]: source });
    expect(reported).toHaveLength(1);
    expect(reported[0]).toContain(fault);
  });
});
