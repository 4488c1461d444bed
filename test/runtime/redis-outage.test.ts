// Redis that rejects a connection while the process runs: failing commands have the error of Redis until it accepts again.
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startRedis, type RedisServer } from '@sealdex/local-aws';
import { SealdexError } from '../../src/runtime/errors.ts';
import { REDIS_REPLIES } from '../../src/runtime/redis-errors.ts';
import { closeRedis, openRedis, runCommand, type Redis } from '../../src/runtime/redis.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';

const USES = ['prompt', 'patient'] as const;

const errorOf = async (redis: Redis): Promise<SealdexError | undefined> => {
  const error: unknown = await runCommand(redis.get('key')).catch((thrown: unknown) => thrown);
  return error instanceof SealdexError ? error : undefined;
};

const reasonOf = async (redis: Redis): Promise<string | undefined> => (await errorOf(redis))?.reason;

const messageOf = (reply: string): string => {
  const { description, remedy } = REDIS_REPLIES[reply]!;
  return `${description}. ${remedy}`;
};

let server: RedisServer;
/** Changes the server, as a user with a separate password. */
let admin: Redis;

beforeEach(async () => {
  server = await startRedis();
  const first = await openRedis({ redisUrl: server.url }, 'prompt');
  await first.call('ACL', 'SETUSER', 'admin', 'on', '>secret', '~*', '&*', '+@all');
  closeRedis(first);
  admin = await openRedis({ redisUrl: server.url.replace('redis://', 'redis://admin:secret@') }, 'prompt');
});
afterEach(async () => {
  closeRedis(admin);
  await server.stop();
});

/** Closes the connection and returns when the client has noticed: a pending command then waits for its deadline. */
async function end(redis: Redis, command = ['CLIENT', 'KILL', 'SKIPME', 'yes']): Promise<void> {
  await admin.call(command[0]!, ...command.slice(1));
  await eventually(() => redis.status !== 'ready');
}

describe.each(USES)('a command on a connection of use %s', (use) => {
  test('fails with WRONGPASS after the password was changed, until it is changed back', async () => {
    await admin.config('SET', 'requirepass', 'old');
    const redis = await openRedis({ redisUrl: server.url.replace('redis://', 'redis://:old@') }, use);
    expect(await runCommand(redis.set('key', 'value'))).toBe('OK');
    await admin.config('SET', 'requirepass', 'new');
    await end(redis);
    await eventually(async () => (await reasonOf(redis)) === 'WRONGPASS');
    expect(await errorOf(redis)).toMatchObject({ code: 'REDIS_FAILED', message: messageOf('WRONGPASS') });
    await admin.config('SET', 'requirepass', 'old');
    expect(await eventually(() => redis.get('key').catch(() => undefined))).toBe('value');
    closeRedis(redis);
    expect(await reasonOf(redis)).toBe('Disconnected');
  });

  test('fails with WRONGPASS after its user was deleted', async () => {
    await admin.call('ACL', 'SETUSER', 'worker', 'on', '>secret', '~*', '+@all');
    const redis = await openRedis({ redisUrl: server.url.replace('redis://', 'redis://worker:secret@') }, use);
    await end(redis, ['ACL', 'DELUSER', 'worker']);
    expect(await eventually(async () => (await reasonOf(redis)) === 'WRONGPASS')).toBe(true);
    closeRedis(redis);
  });

  test('fails with NOAUTH after Redis began to require a password', async () => {
    const redis = await openRedis({ redisUrl: server.url }, use);
    await admin.config('SET', 'requirepass', 'new');
    await end(redis);
    await eventually(async () => (await reasonOf(redis)) === 'NOAUTH');
    expect((await errorOf(redis))?.message).toBe(messageOf('NOAUTH'));
    closeRedis(redis);
  });
});

test('a command fails with Disconnected, and no longer with NOAUTH, after Redis stopped', async () => {
  const redis = await openRedis({ redisUrl: server.url }, 'prompt');
  await admin.config('SET', 'requirepass', 'new');
  await end(redis);
  await eventually(async () => (await reasonOf(redis)) === 'NOAUTH');
  await server.stop();
  expect(await eventually(async () => (await reasonOf(redis)) === 'Disconnected')).toBe(true);
  closeRedis(redis);
});

test.each(USES)('a command of use %s fails with LOADING while a restarted Redis loads its data', async (use) => {
  using _real = realDeadlines({ promptMs: 3000, redisMs: 3000 });
  const sockets = new Set<Socket>();
  let isLoading = false;
  const loader = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      const info = `loading:${isLoading ? 1 : 0}\r\nloading_eta_seconds:1\r\n`;
      for (const [command] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n\w+/g))
        socket.write(/info$/i.test(command) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n');
    });
  });
  await new Promise<void>((resolve) => loader.listen(0, '127.0.0.1', resolve));
  const redis = await openRedis({ redisUrl: `redis://127.0.0.1:${(loader.address() as AddressInfo).port}` }, use);
  expect(await runCommand(redis.get('key'))).toBe('OK');
  isLoading = true;
  for (const socket of sockets) socket.destroy();
  await eventually(async () => (await reasonOf(redis)) === 'LOADING');
  expect((await errorOf(redis))?.message).toBe(messageOf('LOADING'));
  isLoading = false;
  expect(await eventually(() => redis.get('key').catch(() => undefined))).toBe('OK');
  closeRedis(redis);
  await new Promise((resolve) => loader.close(resolve));
});
