// `sealdex dev` as a user runs it: its output, the data it keeps, and that no process remains.
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, createServer } from 'node:net';
import { RAISED_FLAGS } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { linesOf } from './output.ts';
import { checkPort } from '../../src/cli/dev/ports.ts';
import { BIN, run, start, type Running } from './run.ts';
import { temporaryFolder, type Folder } from './temporary-folder.ts';
import { coreOf } from './fixture.ts';

let folder: Folder;

beforeAll(() => {
  folder = temporaryFolder();
});

afterAll(() => folder[Symbol.dispose]());

async function startDev(): Promise<Running> {
  const running = start(['dev', '--port', '0'], { cwd: folder.path });
  await eventually(() => running.stderr().includes('Press Ctrl-C to stop') || running.child.exitCode !== null);
  expect(running.stderr()).toContain('Ready. A worker is running');
  return running;
}

const envFile = (): string => join(folder.path, '.sealdex/env');

/** Runs a line in another terminal of the user. */
async function shell(line: string): Promise<string> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    NODE: process.execPath,
    NODE_OPTIONS: RAISED_FLAGS.join(' '),
    BIN,
  };
  const script = `set -e; sealdex() { "$NODE" "$BIN" "$@"; }; source .sealdex/env; ${line}`;
  return (await promisify(execFile)('bash', ['-c', script], { cwd: folder.path, env })).stdout;
}

const redisPort = (running: Running): number =>
  Number(/REDIS_URL='redis:\/\/127\.0\.0\.1:(\d+)'/.exec(running.stdout())?.[1]);

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket
      .once('connect', () => socket.destroy())
      .once('close', (hadError) => resolve(!hadError))
      .once('error', () => {});
  });

/**
 * The first of four consecutive free ports, below those that the system assigns; random, since other test runs choose as
 * well.
 */
async function freePorts(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const first = 20_000 + 4 * randomInt(2500);
    const checks = await Promise.allSettled([0, 1, 2, 3].map((at) => checkPort(first + at)));
    if (checks.every(({ status }) => status === 'fulfilled')) return first;
  }
  throw new Error('There are no four free ports in a row.');
}

describe('dev', () => {
  test('listens on the given port and the three after it', async () => {
    const first = await freePorts();
    await using running = start(['dev', '--port', String(first)], { cwd: folder.path });
    await eventually(() => running.stderr().includes('Press Ctrl-C to stop') || running.child.exitCode !== null);
    expect(running.stdout()).toContain(`REDIS_URL='redis://127.0.0.1:${first}'`);
    expect(running.stdout()).toContain(`AWS_ENDPOINT_URL_S3='http://127.0.0.1:${first + 1}'`);
    expect(running.stdout()).toContain(`AWS_ENDPOINT_URL_KMS='http://127.0.0.1:${first + 2}'`);
    expect((await fetch(`http://127.0.0.1:${first + 3}/readyz`)).status).toBe(200);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(0);
  });

  test.each([0, 1, 2, 3])('exits with 69 and leaves no process running if port %i of the four is taken', async (at) => {
    const first = await freePorts();
    const server = createServer().listen(first + at, '127.0.0.1');
    const { code, stdout, stderr } = await run(['dev', '--port', String(first)], { cwd: folder.path });
    server.close();
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
    expect(stderr).toBe(
      `Starting Redis, S3 and KMS …\nsealdex: Port ${first + at} is already in use. Stop the process that uses it, or use any free ports: sealdex dev --port 0\n`,
    );
    for (const other of [0, 1, 2, 3].filter((each) => each !== at))
      expect(await isListening(first + other)).toBe(false);
    expect(existsSync(envFile())).toBe(false);
  });

  test('prints the variables for another terminal, keeps documents across a restart, and leaves no process running', async () => {
    await using first = await startDev();
    const exports_ = linesOf(first.stdout());
    for (const line of exports_) expect(line).toMatch(/^export [A-Z0-9_]+='[^']+'$/);
    expect(readFileSync(envFile(), 'utf8')).toBe(first.stdout());
    expect(statSync(envFile()).mode & 0o077).toBe(0);

    writeFileSync(join(folder.path, 'kept.json'), coreOf('kept', 'What stays.'));
    expect(linesOf(await shell('sealdex tenants list')).map((line) => line.split(' ')[0])).toEqual([
      'TENANT',
      'acme',
      'globex',
    ]);
    await shell('sealdex index --tenant acme --corpus docs --wait kept.json');
    expect(await run(['dev', '--port', '0'], { cwd: folder.path })).toMatchObject({
      code: 69,
      stdout: '',
      stderr: expect.stringMatching(/^Starting .*\nsealdex: Another process runs its services in .*\n$/) as string,
    });

    first.child.kill('SIGINT');
    const { code, stderr } = await first.ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/\nStopping …\n$/);
    expect(await isListening(redisPort(first))).toBe(false);
    expect(existsSync(envFile())).toBe(false);

    await using second = await startDev();
    expect(await shell('sealdex read --tenant acme --corpus docs kept')).toMatch(/\n\nWhat stays\.\n$/);
    second.child.kill('SIGTERM');
    expect((await second.ended).code).toBe(0);
    expect(await isListening(redisPort(second))).toBe(false);
  });

  test('leaves no Redis when killed, and starts again', async () => {
    await using killed = await startDev();
    killed.child.kill('SIGKILL');
    await killed.ended;
    await eventually(async () => !(await isListening(redisPort(killed))));
    await using again = await startDev();
    again.child.kill('SIGINT');
    expect((await again.ended).code).toBe(0);
  });

  test('exits with 130 and leaves no processes when interrupted during startup', async () => {
    await using running = start(['dev', '--port', '0'], { cwd: folder.path });
    await eventually(() => running.stderr().includes('Starting'));
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    // On a machine where this test is slower than the start, the process was ready before.
    expect(code).toBe(stdout === '' ? 130 : 0);
    expect(stderr).not.toContain('sealdex:');
    expect(existsSync(envFile())).toBe(false);
    // The folder is free: the next one starts.
    await using again = await startDev();
    again.child.kill('SIGINT');
    expect((await again.ended).code).toBe(0);
  });
});
