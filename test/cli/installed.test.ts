// The command line as npm installs it: built, without the embedded services and without what they are made of.
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { said } from './output.ts';
import { run } from './run.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const folder = temporaryFolder();
const bin = join(folder.path, 'bin/sealdex.js');

beforeAll(() => {
  // Types are checked elsewhere.
  const tsc = [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, 'tsconfig.json')];
  execFileSync(process.execPath, [...tsc, '--noCheck', '--outDir', join(folder.path, 'dist')]);
  rmSync(join(folder.path, 'dist/dev'), { recursive: true });
  for (const path of ['bin', 'package.json']) cpSync(join(ROOT, path), join(folder.path, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'));
});

afterAll(() => folder[Symbol.dispose]());

test.each([['dev'], ['demo'], ['demo', '--json']])(
  'sealdex %s %s needs a checkout: one sentence, 69',
  async (...args) => {
    const { code, stdout, stderr } = await run(
      args.filter((arg) => arg !== undefined),
      { bin },
    );
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
    expect(stderr).toMatch(/^sealdex: This command needs a checkout of sealdex [^\n]*npm ci\.\n$/);
  },
);

test('their help works there, and says that they need one', async () => {
  for (const command of ['dev', 'demo']) {
    const { code, stdout } = await run([command, '--help'], { bin });
    expect(code).toBe(0);
    expect(stdout).toContain('Needs a checkout of sealdex');
  }
});

test('files are read there, in a process of the built code', async () => {
  const { code, stdout, stderr } = await run(['extract', join(ROOT, 'examples/files/parking.pdf')], { bin });
  expect({ code, said: said(stderr) }).toEqual({ code: 0, said: [] });
  expect(JSON.parse(stdout.split('\n')[0]!)).toMatchObject({
    type: 'file',
    source: { contentType: 'application/pdf' },
  });
});

test('the other commands work', async () => {
  expect(await run(['--version'], { bin })).toMatchObject({ code: 0, stderr: '' });
  expect(await run(['status'], { bin, cwd: folder.path })).toMatchObject({ code: 78, stdout: '' });
});
