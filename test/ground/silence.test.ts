// Connections to Redis that fall silent though new ones work: a frozen primary, a balancer that has forgotten them.
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ask, closeRedis, openRedis } from '../../src/redis.ts';
import { eventually } from '../support/eventually.ts';

const redisUrl = new URL(inject('redisUrl'));
const open = new Set<Socket>();
const silent = new Set<Socket>();

/** A way to Redis on which a connection can be made silent, both ways, without being closed. */
const proxy = createServer((socket) => {
  const redis = connect(Number(redisUrl.port), redisUrl.hostname);
  open.add(socket);
  socket.on('data', (bytes) => silent.has(socket) || redis.write(bytes));
  redis.on('data', (bytes) => silent.has(socket) || socket.write(bytes));
  socket.on('error', () => {}).on('close', () => (open.delete(socket), redis.destroy()));
  redis.on('error', () => {}).on('close', () => silent.has(socket) || socket.destroy());
});

beforeAll(() => new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', () => resolve())));
afterAll(async () => {
  for (const socket of open) socket.destroy();
  await new Promise((resolve) => proxy.close(resolve));
});

test.for(['prompt', 'patient', 'queue'] as const)('a %s connection that falls silent is replaced', async (use) => {
  const url = `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const redis = await openRedis({ redisUrl: url }, use);
  expect(await redis.ping()).toBe('PONG');
  for (const socket of open) silent.add(socket);
  const asked = ask(redis.ping()).catch(() => undefined);
  const answers = await eventually(() => ask(redis.ping()).catch(() => undefined), { timeoutMs: 30_000 });
  expect(answers).toBe('PONG');
  await asked;
  closeRedis(redis);
});
