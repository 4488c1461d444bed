// The files that mark a folder as an export's, and as one run's: each is created completely or not at all.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claim } from '../../src/offboarding/folder.ts';
import { createExclusive, lockFolder } from '../../src/offboarding/lock.ts';
import { temporaryFolder } from '../cli/temporary-folder.ts';

let opened: DisposableStack;
let dir: string;

beforeEach(() => {
  opened = new DisposableStack();
  dir = opened.use(temporaryFolder()).path;
});
afterEach(() => opened.dispose());

/** Runs in a process that can create files, but not write to them. */
function onFullDisk(module: 'lock' | 'folder', call: string): void {
  const url = new URL(`../../src/offboarding/${module}.ts`, import.meta.url).href;
  const code = `const { claim, lockFolder } = await import('${url}'); await ${call};`;
  const args = ['--input-type=module', '-e', code, dir];
  const { stderr } = spawnSync('sh', ['-c', 'ulimit -f 0; exec "$@"', 'sh', process.execPath, ...args]);
  expect(stderr.toString()).toContain('EFBIG');
}

test('a run that fails to write its lock leaves none, and the next one takes it', async () => {
  onFullDisk('lock', 'lockFolder(process.argv[1])');
  expect(existsSync(join(dir, '.sealdex-export.lock'))).toBe(false);
  await using _ = await lockFolder(dir);
});

test('a run that fails to write its mark leaves the folder to the next one', async () => {
  onFullDisk('folder', `claim(process.argv[1], 'acme')`);
  await claim(dir, 'acme');
  await expect(claim(dir, 'other')).rejects.toMatchObject({ field: 'dir' });
});

test('files of a killed run beside its mark do not make the folder foreign', async () => {
  writeFileSync(join(dir, '.sealdex-export.json.0123456789abcdef'), '');
  await claim(dir, 'acme');
  expect(existsSync(join(dir, '.sealdex-export.json'))).toBe(true);
});

test('existing files stay, also a dangling link, and no other file is left', async () => {
  const [file, link] = [join(dir, 'file'), join(dir, 'link')];
  writeFileSync(file, 'old');
  symlinkSync(join(dir, 'nowhere'), link);
  for (const path of [file, link]) expect(await createExclusive(path, 'new')).toBe(false);
  expect(await createExclusive(join(dir, 'more'), 'new')).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe('old');
  expect(readdirSync(dir).toSorted()).toEqual(['file', 'link', 'more']);
});
