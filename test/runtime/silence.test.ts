// Connections to Redis without responses though new ones work: a frozen primary, a load balancer that dropped them.
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { runCommand, closeRedis, openRedis } from '../../src/runtime/redis.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';

let real: Disposable;
beforeAll(() => {
  real = realDeadlines({ promptMs: 5000 });
});
afterAll(() => real[Symbol.dispose]());

interface Line extends AsyncDisposable {
  readonly url: string;
  /** Blocks its existing connections, both ways, without closing them; new ones work. */
  silence(): void;
}

async function lineTo(url: URL): Promise<Line> {
  const open = new Set<Socket>();
  const silent = new Set<Socket>();
  const proxy = createServer((socket) => {
    const redis = connect(Number(url.port), url.hostname);
    open.add(socket);
    socket.on('data', (bytes) => silent.has(socket) || redis.write(bytes));
    redis.on('data', (bytes) => silent.has(socket) || socket.write(bytes));
    socket.on('error', () => {}).on('close', () => (open.delete(socket), redis.destroy()));
    redis.on('error', () => {}).on('close', () => silent.has(socket) || socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', () => resolve()));
  return {
    url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    silence() {
      for (const socket of open) silent.add(socket);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

const USES = ['prompt', 'patient', 'queue'] as const;

test.concurrent.for(USES)('a %s connection without a response is replaced', async (use) => {
  await using line = await lineTo(new URL(inject('redisUrl')));
  const redis = await openRedis({ redisUrl: line.url }, use);
  expect(await redis.ping()).toBe('PONG');
  line.silence();
  const pending = runCommand(redis.ping()).catch(() => undefined);
  const answers = await eventually(() => runCommand(redis.ping()).catch(() => undefined));
  expect(answers).toBe('PONG');
  await pending;
  closeRedis(redis);
});
