// Paths in ARCHITECTURE.md and CONTRIBUTING.md, compared with the tree.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const textOf = (page: string): string => readFileSync(new URL(page, ROOT), 'utf8');

/** `src/…`, `test/…`, `packages/…` in backticks; capitals are placeholders for any name. */
const pathsOf = (text: string): string[] =>
  [...text.matchAll(/`((?:src|test|packages|docs|bin|bench|\.ci)\/[^`\s]*)`/g)]
    .map(([, path = '']) => path)
    .filter((path) => !/[A-Z*<]/.test(path.replace(/README\.md|CHANGELOG\.md/, '')));

describe.each(['ARCHITECTURE.md', 'CONTRIBUTING.md'])('%s', (page) => {
  test('names only files and folders that exist', () => {
    const paths = pathsOf(textOf(page));
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([]);
  });

  test('has at most 200 lines', () => {
    expect(textOf(page).trimEnd().split('\n').length).toBeLessThanOrEqual(200);
  });
});

test('ARCHITECTURE.md lists every module once', () => {
  const table = textOf('ARCHITECTURE.md').split('## Modules')[1]?.split('## ')[0] ?? '';
  const listed = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name = '']) => name);
  const folders = readdirSync(new URL('src/', ROOT), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(listed.toSorted()).toEqual(folders.toSorted());
});

test('the path of a job in ARCHITECTURE.md names only files that exist', () => {
  const path = textOf('ARCHITECTURE.md').split('## The path of a job')[1]?.split('\n## ')[0] ?? '';
  const files = [...path.matchAll(/\b([a-z-]+(?:\/[a-z-]+)+(?:\.ts|\/))/g)].map(([, file = '']) => file);
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter((file) => !existsSync(new URL(`src/${file}`, ROOT)))).toEqual([]);
});
