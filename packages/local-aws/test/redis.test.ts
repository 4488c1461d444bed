// The redis-server child: ready, persistent or not, and stopped with its owner process.
import { Redis } from 'ioredis';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../src/redis/redis.ts';
import { startLocalAws } from '../src/local-aws.ts';
import { eventually } from './eventually.ts';

const OWNER = fileURLToPath(new URL('owner.ts', import.meta.url));

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function ask<T>(redis: RedisServer | string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(typeof redis === 'string' ? redis : redis.url);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

/** Starts the owner and resolves with its output once its services are up. */
async function startOwner(...args: string[]): Promise<{ owner: ChildProcess; pid: number; url: string }> {
  const owner = spawn(process.execPath, [OWNER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(owner.stdout, 'data')) as [Buffer];
  return { owner, ...(JSON.parse(line.toString()) as { pid: number; url: string }) };
}

test('start() returns a ready Redis, without persistence and with noeviction', async () => {
  const redis = await startRedis();
  try {
    const [ping, append, save, policy] = await ask(redis, (client) =>
      Promise.all([
        client.ping(),
        client.config('GET', 'appendonly'),
        client.config('GET', 'save'),
        client.config('GET', 'maxmemory-policy'),
      ]),
    );
    expect([ping, append, save, policy]).toEqual([
      'PONG',
      ['appendonly', 'no'],
      ['save', ''],
      ['maxmemory-policy', 'noeviction'],
    ]);
  } finally {
    await redis.stop();
  }
});

test('Redis listens on 127.0.0.1 only', async () => {
  const redis = await startRedis();
  try {
    expect(await ask(redis, (client) => client.config('GET', 'bind'))).toEqual(['bind', '127.0.0.1']);
  } finally {
    await redis.stop();
  }
});

test('another eviction policy can be chosen', async () => {
  const redis = await startRedis({ maxmemoryPolicy: 'allkeys-lru' });
  try {
    expect(await ask(redis, (client) => client.info('memory'))).toContain('maxmemory_policy:allkeys-lru');
  } finally {
    await redis.stop();
  }
});

test('stop() can be called twice, and leaves neither the process nor its folder', async () => {
  const redis = await startRedis();
  const [, dir] = (await ask(redis, (client) => client.config('GET', 'dir'))) as [string, string];
  await Promise.all([redis.stop(), redis.stop()]);
  await redis.stop();
  expect(isAlive(redis.pid)).toBe(false);
  expect(dir).toContain('sealdex-redis-');
  expect(existsSync(dir)).toBe(false);
});

test('stop() works after the death of Redis', async () => {
  const redis = await startRedis();
  process.kill(redis.pid, 'SIGKILL');
  await eventually(() => !isAlive(redis.pid));
  await redis.stop();
  expect(isAlive(redis.pid)).toBe(false);
});

test('data in a given folder survives a restart and a killed Redis', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
  try {
    const first = await startRedis({ dir });
    await ask(first, (client) => client.set('a', '1'));
    await first.stop();
    const second = await startRedis({ dir });
    expect(await ask(second, (client) => client.get('a'))).toBe('1');
    await ask(second, (client) => client.set('b', '2'));
    process.kill(second.pid, 'SIGKILL');
    await second.stop();
    const third = await startRedis({ dir });
    expect(await ask(third, (client) => client.mget('a', 'b'))).toEqual(['1', '2']);
    await third.stop();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test('parallel starts get separate ports', async () => {
  const servers = await Promise.all(Array.from({ length: 8 }, () => startRedis()));
  try {
    expect(new Set(servers.map((redis) => redis.port)).size).toBe(8);
    const pids = await Promise.all(
      servers.map((redis) => ask(redis, async (client) => /process_id:(\d+)/.exec(await client.info('server'))?.[1])),
    );
    expect(pids.map(Number)).toEqual(servers.map((redis) => redis.pid));
  } finally {
    await Promise.all(servers.map((redis) => redis.stop()));
  }
});

test('startRedis() rejects with EADDRINUSE and the port if the port is taken', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  try {
    await expect(startRedis({ port })).rejects.toMatchObject({ code: 'EADDRINUSE', port });
  } finally {
    taken.close();
  }
});

test('a start can be aborted', async () => {
  await expect(startRedis({ signal: AbortSignal.abort(new Error('given up')) })).rejects.toThrow('given up');
  const controller = new AbortController();
  const starting = startLocalAws({ signal: controller.signal });
  controller.abort(new Error('changed my mind'));
  await expect(starting).rejects.toThrow('changed my mind');
});

test('Redis and its temporary folder disappear soon after its parent process is killed', async () => {
  const { owner, pid, url } = await startOwner('redis');
  const [, dir] = (await ask(url, (client) => client.config('GET', 'dir'))) as [string, string];
  expect(await readdir(dir)).toEqual([]);
  owner.kill('SIGKILL');
  await eventually(() => !isAlive(pid));
  await eventually(() => !existsSync(dir));
});

test('a folder belongs to one process at a time, and to the next when that one is killed', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
  try {
    const { owner, pid, url } = await startOwner('services', dir);
    await ask(url, (client) => client.set('kept', 'yes'));
    await expect(startLocalAws({ dir })).rejects.toThrow(/^Another process runs its services in .*\. Stop it first/);
    owner.kill('SIGKILL');
    await eventually(() => !isAlive(pid));
    const services = await startLocalAws({ dir });
    expect(await ask(services.redis, (client) => client.get('kept'))).toBe('yes');
    await services.stop();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
