// The command line without the package of file readers.
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startInProcess } from './in-process.ts';
import { coreOf, openScene } from './fixture.ts';
import { jsonOf } from './output.ts';
import { run, start } from './run.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const folder = temporaryFolder();
const bin = join(folder.path, 'bin/sealdex.js');
const note = join(folder.path, 'note.txt');
const otherNote = join(folder.path, 'other.txt');

beforeAll(() => {
  for (const path of ['bin', 'src', 'package.json']) {
    cpSync(join(ROOT, path), join(folder.path, path), { recursive: true });
  }
  const modules = join(folder.path, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.') && name !== '@sealdex')
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  for (const file of [note, otherNote]) writeFileSync(file, 'Some text.');
});

afterAll(() => folder[Symbol.dispose]());

test('sealdex extract names the command that installs the readers, and exits with 69', async () => {
  expect(await run(['extract', note], { bin })).toMatchObject({
    code: 69,
    stdout: '',
    stderr:
      'sealdex: The package @sealdex/extract, which reads files, is not installed. Install it: npm install @sealdex/extract\n',
  });
});

test('a worker without readers logs that once at start, processes index jobs, and leaves uploads to other workers', async () => {
  await using scene = await openScene();
  const place = ['--tenant', 'acme', '--corpus', 'docs'];
  const upload = await scene.sealdex(['upload', ...place, note]);
  expect(upload.code).toBe(0);
  await using running = start(['worker'], { bin, settings: scene.settings });
  const job = /j[0-9a-f]{32}/.exec(upload.stdout)?.[0] ?? '';
  expect(await scene.sealdex(['index', ...place, '--wait', '-'], { input: coreOf('one') })).toMatchObject({ code: 0 });
  const log = jsonOf(running.stdout().slice(0, running.stdout().lastIndexOf('\n') + 1));
  expect(log.filter(({ msg }) => String(msg).includes('npm install @sealdex/extract'))).toHaveLength(1);
  expect(log.find(({ msg }) => msg === 'worker started')).toMatchObject({ uploadConcurrency: 0 });
  expect(await scene.operator.job(job)).toMatchObject({ state: 'queued', attempts: 0 });
  const hint = 'Install it where the worker runs, then restart the worker: npm install @sealdex/extract\n';
  expect(await scene.sealdex(['status'])).toMatchObject({ code: 0, stdout: expect.stringContaining(hint) });
  const shown = await scene.sealdex(['jobs', 'show', job]);
  expect(shown).toMatchObject({ code: 0, stderr: expect.stringContaining(hint) });
  await using waiting = startInProcess(['upload', ...place, '--wait', otherNote], { settings: scene.settings });
  await eventually(() => waiting.stderr().includes(hint));
  expect(waiting.stderr()).not.toContain('Check that a worker is running');
  await scene.startWorker();
  expect(await waiting.ended).toMatchObject({ code: 0 });
  expect(await eventually(async () => (await scene.operator.job(job)).state === 'done')).toBe(true);
});
