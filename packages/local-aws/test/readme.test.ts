// The README against the package: its test runs, its options are those of --help, its files are in package.json.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBin } from './bin-process.ts';

const PACKAGE = fileURLToPath(new URL('../', import.meta.url));
const README = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
const snippet = /^```ts\n(.*?)^```$/ms.exec(README)?.[1] ?? '';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'local-aws-readme-'));
  mkdirSync(join(folder, 'node_modules', '@sealdex'), { recursive: true });
  symlinkSync(PACKAGE, join(folder, 'node_modules/@sealdex/local-aws'));
  const sdk = dirname(nearestPackage(fileURLToPath(import.meta.resolve('@aws-sdk/client-kms'))));
  symlinkSync(sdk, join(folder, 'node_modules/@aws-sdk'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The folder of the package that a file is of. */
function nearestPackage(file: string): string {
  const folder = dirname(file);
  return folder.endsWith('client-kms') ? folder : nearestPackage(folder);
}

function runTests(source: string): Promise<{ code: number; output: string }> {
  const file = join(folder, 'example.test.ts');
  writeFileSync(file, source);
  const env = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };
  return new Promise((resolve) => {
    execFile(process.execPath, ['--test', file], { cwd: folder, env }, (error, stdout, stderr) =>
      resolve({ code: error ? 1 : 0, output: stdout + stderr }),
    );
  });
}

test('the test in the README passes', async () => {
  expect(snippet).toContain("from '@sealdex/local-aws'");
  const { code, output } = await runTests(snippet);
  expect(output).toMatch(/^. pass 1$/m);
  expect(code).toBe(0);
});

test('the test in the README fails if the key is not disabled', async () => {
  const { code, output } = await runTests(snippet.replace('kms.disable(KeyId)', 'kms.enable(KeyId)'));
  expect(output).toMatch(/^. fail 1$/m);
  expect(code).toBe(1);
});

test('the table of options is the list of --help, which exits with 0', async () => {
  const { code, stdout, stderr } = await startBin(['--help']).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const options = [...stdout.matchAll(/^ {2}(--\S+(?: [A-Z]+)?) +(.+)$/gm)].map(([, name, text]) => `${name}: ${text}`);
  expect(options.length).toBeGreaterThan(5);
  const rows = [...README.matchAll(/^\| `(--[^`]+)` \| (.+) \|$/gm)].map(([, name, text]) => `${name}: ${text}`);
  expect(rows).toEqual(options);
});

test('the sentence about exit codes is that of --help', async () => {
  const { stdout } = await startBin(['--help']).ended;
  const [sentence] = /^Exit codes: .+$/m.exec(stdout) ?? [];
  expect(README).toContain(`\n${sentence}\n`);
});
