// `sealdex worker` as an operator runs it: its log, its stop, and errors at its start.
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startRedis } from '@sealdex/local-aws';
import { eventually } from '../support/eventually.ts';
import { jsonOf } from './output.ts';
import { isAlive, run, start, type Running } from './run.ts';
import { coreOf, openScene, type Scene } from './fixture.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
});

afterAll(() => scene[Symbol.asyncDispose]());

/** Starts a worker and resolves with its log when it takes jobs. */
async function startWorker(): Promise<{ running: Running; port: number }> {
  const running = start(['worker'], { settings: scene.settings });
  const port = await eventually(
    () => jsonOf(wholeLines(running.stdout())).find(({ msg }) => msg === 'worker started')?.['port'] as number,
  );
  return { running, port };
}

const wholeLines = (text: string): string => text.slice(0, text.lastIndexOf('\n') + 1);

test.each(['SIGTERM', 'SIGINT'] as const)(
  'a worker logs its queues as JSON lines, processes jobs in the started process, and exits with 0 at %s',
  async (signal) => {
    const { running, port } = await startWorker();
    await using _ = running;
    expect(await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).toBe('ready\n');
    const args = ['index', '--tenant', 'acme', '--corpus', 'docs', '--wait', '-'];
    expect(await scene.sealdex(args, { input: coreOf('one') })).toMatchObject({ code: 0 });
    running.child.kill(signal);
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = jsonOf(stdout);
    for (const line of lines) expect(line).toMatchObject({ role: 'worker', pid: running.pid });
    expect(lines.find(({ msg }) => msg === 'worker started')).toMatchObject({
      queue: scene.settings.SEALDEX_QUEUE,
      concurrency: 32,
    });
    expect(lines.at(-1)).toMatchObject({ msg: 'worker stopped', handedBack: 0, isClean: true });
    expect(isAlive(running.pid)).toBe(false);
    expect((await scene.operator.status()).processes.filter(({ pid }) => pid === running.pid)).toEqual([]);
  },
);

test('a worker exits with 78 and names the setting to change if its port is taken', async () => {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    const settings = { ...scene.settings, SEALDEX_PORT: port };
    const { code, stderr } = await run(['worker'], { settings });
    expect({ code, stderr }).toEqual({
      code: 78,
      stderr: `sealdex: SEALDEX_PORT: port ${port} is already in use (CONFIG_INVALID). Choose another port, or 0 for any free port.\n`,
    });
  } finally {
    server.close();
  }
});

test('a worker exits with 78 and names the fix if Redis may evict jobs', async () => {
  const redis = await startRedis({ maxmemoryPolicy: 'allkeys-lru' });
  try {
    const settings = { ...scene.settings, REDIS_URL: redis.url };
    const { code, stdout, stderr } = await run(['worker'], { settings });
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toMatch(/^sealdex: REDIS_URL: .*allkeys-lru.* \(CONFIG_INVALID\)\. Set it to noeviction\.\n$/);
  } finally {
    await redis.stop();
  }
});
