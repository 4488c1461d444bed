// All packages packed and installed into empty projects, as users install them, under every supported Node.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { coreOf, openScene } from '../cli/fixture.ts';
import { jsonOf, linesOf, type Ended } from '../cli/output.ts';
import { run, start, type RunOptions, type Running } from '../cli/run.ts';
import { eventually } from '../support/eventually.ts';
import { bytesOnDisk, installInto, manifest, nativeBuilds, nodeOf, packAll, ROOT } from './packed.ts';

/** The minimum in `engines`, and the newest of each maintained release line. */
const NODES = [`${manifest.engines.node.replace('>=', '')}.0`, '22', '24', '26'];
const PLAIN_BYTES = 80_000_000;
const PDF = join(ROOT, 'examples/files/parking.pdf');
const PLACE = ['--tenant', 'acme', '--corpus', 'docs'];
const NAMES = ['CODES', 'SETTINGS', 'SealdexError', 'createOperator', 'createProducer', 'createReader', 'startWorker'];

let folder = '';
/** Has sealdex alone. */
let plain = '';
/** Has all packages, and the AWS Encryption SDK for the demo. */
let full = '';

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'sealdex-installed-')));
  [plain, full] = [join(folder, 'plain'), join(folder, 'full')];
  const tarballs = await packAll(join(folder, 'packed'));
  const sdkPackage = `@aws-crypto/client-node@${manifest.devDependencies['@aws-crypto/client-node']}`;
  await installInto(plain, [tarballs.get('sealdex') ?? '']);
  await installInto(full, [...tarballs.values(), sdkPackage]);
  // Downloaded packages of the checkout are reused.
  const redis = join(ROOT, '.sealdex/redis');
  mkdirSync(join(full, '.sealdex'));
  if (existsSync(redis)) symlinkSync(redis, join(full, '.sealdex/redis'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const binOf = (project: string, name = 'sealdex'): string => {
  const owner = name === 'sealdex' ? name : `@sealdex/${name}`;
  return join(project, 'node_modules', owner, 'bin', `${name}.js`);
};

/** A worker that takes jobs. */
async function startWorker(options: RunOptions): Promise<Running> {
  const worker = start(['worker'], { ...options });
  await eventually(() => worker.stdout().includes('worker started') || worker.child.exitCode !== null);
  expect(worker.child.exitCode).toBe(null);
  return worker;
}

async function stop(worker: Running): Promise<Ended> {
  worker.child.kill('SIGTERM');
  return worker.ended;
}

test('the installed packages hold no sources', () => {
  for (const name of ['sealdex', '@sealdex/local-aws', '@sealdex/extract']) {
    expect(existsSync(join(full, 'node_modules', name, 'package.json'))).toBe(true);
    expect(existsSync(join(full, 'node_modules', name, 'src'))).toBe(false);
  }
});

describe('sealdex installed alone', () => {
  test('takes less than 80 MB', () => {
    expect(bytesOnDisk(join(plain, 'node_modules'))).toBeLessThan(PLAIN_BYTES);
  });

  test('contains neither readers of files nor local services', () => {
    expect(existsSync(join(plain, 'node_modules/@sealdex'))).toBe(false);
  });

  test('compiles nothing during the installation', () => {
    expect([...nativeBuilds(plain), ...nativeBuilds(full)]).toEqual([]);
  });

  test.each([
    ['nodenext', ['--module', 'nodenext']],
    ['bundler', ['--module', 'preserve', '--moduleResolution', 'bundler']],
  ])('type-checks a consumer with the module resolution %s, its own declarations included', async (_, options) => {
    const types = join(plain, 'node_modules/@types');
    if (!existsSync(types)) symlinkSync(join(ROOT, 'node_modules/@types'), types);
    writeFileSync(join(plain, 'consumer.mts'), CONSUMER);
    writeFileSync(join(plain, 'consumer.cts'), CONSUMER);
    const flags = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      'false',
      '--target',
      'es2022',
      '--types',
      'node',
      ...options,
    ];
    const bin = join(ROOT, 'node_modules/typescript/bin/tsc');
    const args = [...flags, 'consumer.mts', 'consumer.cts'];
    expect(await start(args, { bin, cwd: plain }).ended).toMatchObject({ code: 0, stdout: '' });
  });

  test('has a worker that names the missing package, and leaves uploads to one that has it', async () => {
    await using scene = await openScene();
    const { settings } = scene;
    const options = { bin: binOf(plain), settings };
    await using without = await startWorker(options);
    const upload = await run(['upload', ...PLACE, PDF], options);
    expect(upload).toMatchObject({ code: 0 });
    const job = /j[0-9a-f]{32}/.exec(upload.stdout)?.[0] ?? '';
    const index = await run(['index', ...PLACE, '--wait', '-'], { ...options, input: coreOf('one') });
    expect(index).toMatchObject({ code: 0 });
    expect(without.stdout().split('npm install @sealdex/extract')).toHaveLength(2);
    expect(await scene.operator.job(job)).toMatchObject({ state: 'queued', attempts: 0 });
    await using withReaders = await startWorker({ ...options, bin: binOf(full) });
    expect(await eventually(async () => (await scene.operator.job(job)).state === 'done')).toBe(true);
    for (const worker of [without, withReaders]) expect(await stop(worker)).toMatchObject({ code: 0 });
  });
});

describe.each(NODES)('under Node %s', (version) => {
  let node = '';
  const sealdex = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
    run(args, { bin: binOf(full), node, ...options });

  beforeAll(async () => {
    node = await nodeOf(version);
  });

  test.each([
    ['import', 'import.mjs', `import * as sealdex from 'sealdex';`],
    ['require', 'require.cjs', `const sealdex = require('sealdex');`],
  ])('%s returns the exports of the package, and prints nothing', async (_, file, statement) => {
    writeFileSync(join(plain, file), `${statement}\nconsole.log(Object.keys(sealdex).sort().join());\n`);
    const ended = await start([], { bin: join(plain, file), node, cwd: plain }).ended;
    expect(ended).toEqual({ code: 0, signal: null, stdout: `${NAMES.join()}\n`, stderr: '' });
  });

  test('sealdex --version, and extract without settings, print the expected output', async () => {
    const { version: own } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(await sealdex(['--version'])).toMatchObject({ code: 0, stdout: `${own}\n`, stderr: '' });
    const { code, stdout } = await sealdex(['extract', PDF]);
    expect({ code, head: JSON.parse(linesOf(stdout)[0] ?? '') as unknown }).toMatchObject({
      code: 0,
      head: { source: { contentType: 'application/pdf' } },
    });
  });

  test('a worker stores documents and files, and status, read and tenants export find them', async () => {
    await using scene = await openScene();
    const options = { settings: scene.settings };
    await using worker = await startWorker({ bin: binOf(full), node, ...options });
    expect(await sealdex(['index', ...PLACE, '--wait', '-'], { ...options, input: coreOf('one') })).toMatchObject({
      code: 0,
    });
    expect(await sealdex(['upload', ...PLACE, '--wait', PDF], options)).toMatchObject({ code: 0 });
    const read = await sealdex(['read', ...PLACE, 'one'], options);
    expect(read).toMatchObject({ code: 0, stdout: expect.stringContaining('Text of one.') });
    const status = await sealdex(['status', '--json'], options);
    expect(jsonOf(status.stdout)).toEqual([expect.objectContaining({ index: expect.objectContaining({ dead: 0 }) })]);
    const exported = await sealdex(['tenants', 'export', 'acme', join(folder, version), '--json'], options);
    expect(jsonOf(exported.stdout)).toEqual([expect.objectContaining({ tenant: 'acme', documents: 2 })]);
    expect(await stop(worker)).toMatchObject({ code: 0, stderr: '' });
  });

  test('local-aws starts all services and stops them on SIGTERM', async () => {
    const child = spawn(node, [binOf(full, 'local-aws')], {
      cwd: full,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await printed(child.stdout, 'Ready.');
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([0, null]);
  });
});

test('sealdex dev starts a worker and stops on SIGINT, and writes nothing into node_modules', async () => {
  const child = spawn(process.execPath, [binOf(full), 'dev', '--port', '0'], {
    cwd: full,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await printed(child.stderr, 'Ready.');
  expect(existsSync(join(full, '.sealdex/env'))).toBe(true);
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(existsSync(join(full, 'node_modules/.sealdex'))).toBe(false);
});

test('sealdex demo --json ends with exit code 0', async () => {
  const { stdout } = await run(['demo', '--json'], { bin: binOf(full), cwd: full });
  expect(JSON.parse(stdout)).toMatchObject({ failed: 0, readBack: true });
});

/** A program that uses the exports of the package, with an error that the compiler reports only if it finds the types. */
const CONSUMER = `import {
  CODES, SETTINGS, SealdexError, createOperator, createProducer, createReader, startWorker,
  type Code, type IndexRequest, type Settings,
} from 'sealdex';

export const known: readonly Code[] = Object.keys(CODES) as Code[];
export const names: string[] = Object.keys(SETTINGS);

export async function index(settings: Settings): Promise<string> {
  const request: IndexRequest = {
    tenant: 'acme',
    corpus: 'docs',
    document: { type: 'core', id: 'one', document_parts: [{ text: 'Some text.' }] },
  };
  const producer = await createProducer(settings);
  try {
    return (await producer.enqueueIndex(request)).jobId;
  } catch (error) {
    if (error instanceof SealdexError) return error.code satisfies Code;
    throw error;
  } finally {
    await producer[Symbol.asyncDispose]();
  }
}

// @ts-expect-error: no such field
export const wrong: IndexRequest['tennant'] = undefined;

export const others = [createOperator, createReader, startWorker];
`;

/** Waits for a text in the output of a process. */
async function printed(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  let output = '';
  const reading = new Promise<void>((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes(text)) resolve();
    });
    stream.once('end', () => reject(new Error(`The process ended before it printed ${text}: ${output}`)));
  });
  await reading;
}
