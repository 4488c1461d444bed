// The command line as a process: properties that commands run in the test's process lack.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RAISED_FLAGS } from '../support/deadlines.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { linesOf, textsOf } from './output.ts';
import { BIN, run } from './run.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
let services: TestServices;

beforeAll(async () => {
  services = await testServices();
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await services[Symbol.asyncDispose]();
});

describe('the exit code of the process', () => {
  test('is 0 after --help, which is printed to standard output', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: sealdex/);
  });

  test('is 64 for wrong usage, which is printed to standard error', async () => {
    const { code, stdout, stderr } = await run(['idnex']);
    expect({ code, stdout, lines: linesOf(stderr).length }).toEqual({ code: 64, stdout: '', lines: 1 });
  });

  test.each([['status'], ['worker']])('is 78 for sealdex %s without settings', async (command) => {
    const { code, stdout, stderr } = await run([command], { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toMatch(/^sealdex: Invalid settings \(CONFIG_INVALID\):\n/);
  });

  test('is 69 for a worker without a reachable Redis', async () => {
    const settings = { ...services.settings, SEALDEX_PORT: 0, REDIS_URL: 'redis://127.0.0.1:1' };
    expect(await run(['worker'], { settings })).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/^sealdex: [^\n]*\(REDIS_FAILED ECONNREFUSED\)\. [^\n]*\.\n$/) as string,
    });
  });
});

test('settings are read from the environment, and the output of a command is written completely', async () => {
  const { code, stdout, stderr } = await run(['status', '--json'], { settings: services.settings });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ index: { waiting: 0 } });
});

describe('standard output', () => {
  /** Runs sealdex in a user's shell, after `setup`. */
  async function shell(script: string): Promise<{ code: number | null; stderr: string }> {
    const child = spawn('bash', ['-c', `set -o pipefail; sealdex() { "$NODE" "$BIN" "$@"; }; ${script}`], {
      env: {
        PATH: process.env['PATH'] ?? '',
        NODE: process.execPath,
        NODE_OPTIONS: RAISED_FLAGS.join(' '),
        BIN,
        ...textsOf(services.settings),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stderr };
  }

  test('closed early ends the command without an error', async () => {
    expect(await shell('sealdex --help | head -1')).toEqual({ code: 0, stderr: '' });
    expect(await shell('sealdex status | true')).toEqual({ code: 0, stderr: '' });
  });

  test('on a full disk makes the command exit with 74', async () => {
    expect(await shell('sealdex status > /dev/full')).toEqual({
      code: 74,
      stderr: 'sealdex: Cannot write to standard output (ENOSPC).\n',
    });
  });
});
