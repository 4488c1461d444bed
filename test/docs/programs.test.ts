// The programs of docs/producer.md and README, run and type-checked against the built package.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOperator, createReader, startWorker, type Settings } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

const programOf = (page: string): string =>
  /^```ts\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, page), 'utf8'))?.[1] ?? '';
const program = programOf('docs/producer.md');
const shortProgram = programOf('README.md');
/** The second program of the page. */
const readProgram =
  /^```ts\n(import \{ createReader \}.*?)^```$/ms.exec(readFileSync(join(ROOT, 'docs/producer.md'), 'utf8'))?.[1] ?? '';

let folder = '';
let app = '';
let services: TestServices;
let settings: Settings;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

function node(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const options = { cwd: app, timeout: 600_000, env: { PATH: process.env['PATH'], ...env } };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, out, errors) => resolve({ code: error ? 1 : 0, out, errors }));
  });
}

const runProgram = (file = 'program.ts'): Promise<Ended> =>
  node([file], Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])));

/** The document sent by the program, as far as it is compared here. */
const sent = (name: string): string => new RegExp(`\\b${name}: '([^']+)'`).exec(program)?.[1] ?? '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdex-readme-'));
  app = join(folder, 'app');
  const installed = join(folder, 'package');
  mkdirSync(join(app, 'node_modules'), { recursive: true });
  mkdirSync(installed);
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'));
  symlinkSync(installed, join(app, 'node_modules/sealdex'));
  symlinkSync(join(ROOT, 'node_modules/@types'), join(app, 'node_modules/@types'));
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(app, 'program.ts'), program);
  writeFileSync(join(app, 'short.ts'), shortProgram);
  writeFileSync(join(app, 'read.ts'), readProgram);
  // Other checks cover the types of src; here only the output counts, and tsc writes it in any case.
  await node([TSC, '-p', join(ROOT, 'tsconfig.json'), '--outDir', join(installed, 'dist')]);
  services = await testServices();
  settings = { ...services.settings, SEALDEX_PORT: 0, SEALDEX_LOG_LEVEL: 'silent' };
});
afterAll(async () => {
  await services[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test('both pages have a program that imports the package', () => {
  for (const each of [program, shortProgram, readProgram]) {
    expect(each).toContain("from 'sealdex'");
    // Node 22 cannot parse it.
    expect(each).not.toMatch(/^\s*await using/m);
  }
  for (const name of ['tenant', 'corpus', 'id']) expect(sent(name)).not.toBe('');
});

test('the programs have no type errors for a user with strict settings', async () => {
  const options = '--noEmit --strict --noUncheckedIndexedAccess --exactOptionalPropertyTypes --skipLibCheck';
  const checked = `${options} --module nodenext --target esnext --types node program.ts short.ts read.ts`;
  expect(await node([TSC, '--ignoreConfig', ...checked.split(' ')])).toEqual({ code: 0, out: '', errors: '' });
});

test('a wrong field in the program causes a type error: the types of the package are used', async () => {
  writeFileSync(join(app, 'wrong.ts'), program.replace('tenant:', 'tennant:'));
  const checked = '--noEmit --strict --skipLibCheck --module nodenext --target esnext --types node wrong.ts';
  const { code, out } = await node([TSC, '--ignoreConfig', ...checked.split(' ')]);
  expect(code).toBe(1);
  expect(out).toContain('tennant');
});

test('the program reports that the tenant does not exist, and exits', async () => {
  const { code, errors } = await runProgram();
  expect(code).toBe(0);
  expect(errors).toMatch(/^404: /);
});

test('the program queues its document, a worker stores it, and later runs report a duplicate', async () => {
  await using operator = await createOperator(settings);
  await operator.putTenant(sent('tenant'), { plan: 'pro', kmsKeyArn: services.kms.createKey() });
  const first = await runProgram();
  expect(first).toMatchObject({ code: 0, errors: '' });
  expect(first.out).toMatch(/^queued as j[0-9a-f]{32}, revision \d{16}\nqueued/);
  await using _worker = await startWorker(settings, { host: '127.0.0.1' });
  await using reader = await createReader(settings);
  const place = { tenant: sent('tenant'), corpus: sent('corpus'), id: sent('id') };
  const document = await eventually(() => reader.metadata(place).catch(() => undefined));
  expect(document).toMatchObject({ ...place, title: sent('title') });
  const id = /j[0-9a-f]{32}/.exec(first.out)?.[0] ?? '';
  await eventually(async () => (await operator.job(id)).state === 'done');
  expect(await runProgram()).toMatchObject({
    code: 0,
    errors: '',
    out: expect.stringMatching(/^duplicate of a job that is done/) as string,
  });
  expect(await runProgram('short.ts')).toEqual({ code: 0, errors: '', out: `duplicate ${id} done\n` });
});
