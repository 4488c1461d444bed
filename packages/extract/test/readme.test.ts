// The package's README against its code: the example runs, and the tables are complete.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FileReason } from '../src/file-error.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'extract-readme-'));
  mkdirSync(join(folder, 'node_modules/@sealdex'), { recursive: true });
  symlinkSync(ROOT, join(folder, 'node_modules/@sealdex/extract'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'example.ts'), /```ts\n(.*?)```/s.exec(README)?.[1] ?? '');
  writeFileSync(join(folder, 'notes.md'), '# Notes\n\nSome words.\n');
  writeFileSync(join(folder, 'image.png'), Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Output of the example for a file. */
const example = (file: string): string =>
  execFileSync('/bin/sh', ['-c', 'exec "$0" example.ts "$1" 2>&1', process.execPath, file], {
    cwd: folder,
    encoding: 'utf8',
  });

test('the example prints the type and the sections of a file', () => {
  const printed = example('notes.md');
  expect(printed).toContain('text/markdown');
  expect(printed).toContain("title: 'Notes'");
  expect(printed).toContain("text: 'Some words.'");
});

test('the example prints the reason and the type of an unsupported file', () => {
  expect(example('image.png')).toBe('unsupported image/png\n');
});

test('the README lists every reason once', () => {
  // A reason that is added or removed does not compile here.
  const reasons: Record<FileReason, true> = {
    empty: true,
    'no-text': true,
    'pdf-encrypted': true,
    'office-encrypted': true,
    'archive-encrypted': true,
    damaged: true,
    encoding: true,
    'unpacks-too-large': true,
    'text-too-large': true,
    'too-deep': true,
    'too-many-parts': true,
    unsupported: true,
  };
  const table = README.split('## Errors')[1]?.split('\n## ')[0] ?? '';
  const cells = table.split('\n').flatMap((line) => (line.startsWith('| `') ? [line.split(' | ')[0] ?? ''] : []));
  const listed = cells.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name)).slice(1);
  expect(listed).toEqual(Object.keys(reasons));
});
