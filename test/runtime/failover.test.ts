// A Redis that became a replica: commands wait for a primary, instead of failing jobs.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startRedis, type RedisServer } from '@sealdex/local-aws';
import { closeRedis, openRedis, type Redis } from '../../src/runtime/redis.ts';
import { eventually } from '../support/eventually.ts';

let server: RedisServer;
let operator: Redis;

beforeAll(async () => {
  server = await startRedis();
  operator = await openRedis({ redisUrl: server.url }, 'prompt');
});
afterAll(async () => {
  closeRedis(operator);
  await server.stop();
});

const refusals = async (): Promise<number> =>
  Number(/errorstat_READONLY:count=(\d+)/.exec(await operator.info('errorstats'))?.[1] ?? 0);

test('a write rejected by a replica is sent again until the replica is a primary', async () => {
  const worker = await openRedis({ redisUrl: server.url }, 'queue');
  // No server is at that address: this one stays a replica, without writes.
  await operator.replicaof('127.0.0.1', 1);
  const written = worker.set('key', 'value');
  await eventually(async () => (await refusals()) > 1);
  await operator.call('REPLICAOF', 'NO', 'ONE');
  expect(await written).toBe('OK');
  expect(await operator.get('key')).toBe('value');
  closeRedis(worker);
});
