// Modules loaded by a command: only the necessary ones, since loading is most of the time of a short command.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testServices, type TestServices } from '../support/services.ts';
import { linesOf } from './output.ts';
import { run } from './run.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
let services: TestServices;

/** Records every module loaded by the process. */
const HOOK = `
  import { writeFileSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  const urls = [];
  registerHooks({
    load(url, context, next) {
      urls.push(url);
      return next(url, context);
    },
  });
  process.on('exit', () => writeFileSync(process.env.LOADED_FILE, urls.join('\\n')));
`;

beforeAll(async () => {
  writeFileSync(join(folder.path, 'hook.mjs'), HOOK);
  services = await testServices();
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await services[Symbol.asyncDispose]();
});

/** Names of packages, and files of src such as `cli/status.ts`. */
async function loadedBy(...args: string[]): Promise<Set<string>> {
  const file = join(folder.path, `${args.join('_').replaceAll('/', '_')}.txt`);
  const { code, stderr } = await run(args, {
    settings: services.settings,
    env: { NODE_OPTIONS: `--import=${pathToFileURL(join(folder.path, 'hook.mjs')).href}`, LOADED_FILE: file },
  });
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return new Set(
    linesOf(readFileSync(file, 'utf8')).map(
      (url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? /\/src\/(.*)/.exec(url)?.[1] ?? url,
    ),
  );
}

const SDK = [
  '@aws-sdk/client-s3',
  '@aws-sdk/client-kms',
  '@aws-sdk/client-sts',
  '@smithy/undici-http-handler',
  'undici',
];

const amongThem = (loaded: ReadonlySet<string>, names: readonly string[]): string[] =>
  names.filter((name) => loaded.has(name));

describe('loads no module that it does not need', () => {
  test('sealdex --version', async () => {
    const loaded = await loadedBy('--version');
    expect(loaded).toContain('cli/cli.ts');
    expect(amongThem(loaded, [...SDK, 'bullmq', 'ioredis', 'zod', 'pino', 'prom-client', 'cli/status.ts'])).toEqual([]);
  });

  test.each([['--help'], ['status', '--help']])('sealdex %s %s', async (...args) => {
    const loaded = await loadedBy(...args.filter((arg) => arg !== undefined));
    expect(loaded).toContain('cli/status.ts');
    expect(amongThem(loaded, [...SDK, 'bullmq', 'ioredis', 'zod', 'pino', 'prom-client'])).toEqual([]);
  });

  test.each([[['status']], [['parked', 'list']], [['keys', 'list']], [['dead', 'list']]])(
    'sealdex %j',
    async (args) => {
      const loaded = await loadedBy(...args);
      expect(loaded).toContain('bullmq');
      expect(amongThem(loaded, [...SDK, 'app/worker.ts', 'cli/read.ts'])).toEqual([]);
    },
  );

  test('sealdex tenants list', async () => {
    const loaded = await loadedBy('tenants', 'list');
    expect(loaded).toContain('@aws-sdk/client-s3');
    expect(amongThem(loaded, ['@aws-sdk/client-kms', '@aws-sdk/client-sts', 'app/worker.ts'])).toEqual([]);
  });
});
