// The command line as npm installs it: built, and without the optional package @sealdex/local-aws.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deadlines } from '../../src/runtime/deadlines.ts';
import { noticesOf } from './output.ts';
import { run } from './run.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const folder = temporaryFolder();
const bin = join(folder.path, 'bin/sealdex.js');

beforeAll(() => {
  // Types are checked elsewhere.
  const tsc = [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, 'tsconfig.json')];
  execFileSync(process.execPath, [...tsc, '--noCheck', '--outDir', join(folder.path, 'dist')]);
  for (const path of ['bin', 'package.json']) cpSync(join(ROOT, path), join(folder.path, path), { recursive: true });
  linkModules();
  // Same as raised-deadlines.ts for the sources.
  writeFileSync(
    join(folder.path, 'raise.js'),
    `import { scheduling } from './dist/extract/extractor.js';
     import { deadlines } from './dist/runtime/deadlines.js';
     scheduling.priority = 0;
     deadlines.extractorStartMs = ${deadlines.extractorStartMs};`,
  );
});

afterAll(() => folder[Symbol.dispose]());

/** All installed packages, except the local services. */
function linkModules(): void {
  const names = readdirSync(join(ROOT, 'node_modules')).filter((name) => name !== '@sealdex' && !name.startsWith('.'));
  mkdirSync(join(folder.path, 'node_modules/@sealdex'), { recursive: true });
  for (const name of [...names, '@sealdex/extract']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(folder.path, 'node_modules', name));
  }
}

test.each([['dev'], ['demo'], ['demo', '--json']])(
  'sealdex %s %s exits with 69 and names the command that installs the local services',
  async (...args) => {
    const { code, stdout, stderr } = await run(
      args.filter((arg) => arg !== undefined),
      { bin },
    );
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
    expect(stderr.replace('Starting Redis, S3 and KMS …\n', '')).toBe(
      'sealdex: The package @sealdex/local-aws, which runs local services, is not installed. Install it and the readers: npm install --save-dev @sealdex/local-aws @sealdex/extract\n',
    );
  },
);

test('the help of dev and demo names the command that installs the local services', async () => {
  for (const command of ['dev', 'demo']) {
    const { code, stdout } = await run([command, '--help'], { bin });
    expect(code).toBe(0);
    expect(stdout).toContain('npm install --save-dev @sealdex/local-aws @sealdex/extract\n');
  }
});

test('sealdex extract runs a reader process of the built code', async () => {
  const { code, stdout, stderr } = await run(['extract', join(ROOT, 'examples/files/parking.pdf')], {
    bin,
    env: { NODE_OPTIONS: `--import ${join(folder.path, 'raise.js')}` },
  });
  expect({ code, notices: noticesOf(stderr) }).toEqual({ code: 0, notices: [] });
  expect(JSON.parse(stdout.split('\n')[0]!)).toMatchObject({
    type: 'file',
    source: { contentType: 'application/pdf' },
  });
});

test('sealdex works without the local services for all other commands', async () => {
  expect(await run(['--version'], { bin })).toMatchObject({ code: 0, stderr: '' });
  expect(await run(['status'], { bin, cwd: folder.path })).toMatchObject({ code: 78, stdout: '' });
});
