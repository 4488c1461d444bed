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

/** Warnings of the process while `act` runs, except those of Node's experimental features. */
async function warningsOf(act: () => Promise<void>): Promise<string[]> {
  const warnings: string[] = [];
  const listen = ({ name }: Error): void => void (name === 'ExperimentalWarning' || warnings.push(name));
  process.on('warning', listen);
  await act();
  await new Promise(setImmediate);
  process.off('warning', listen);
  return warnings;
}

test('writes that a replica rejects together close each connection once, without a warning', async () => {
  const worker = await openRedis({ redisUrl: server.url }, 'queue');
  let reconnections = 0;
  worker.on('reconnecting', () => (reconnections += 1));
  const warnings = await warningsOf(async () => {
    const before = await refusals();
    await operator.replicaof('127.0.0.1', 1);
    const written = Promise.all(Array.from({ length: 100 }, (_, at) => worker.set(`key ${at}`, 'value')));
    await eventually(async () => (await refusals()) - before > 300);
    await operator.call('REPLICAOF', 'NO', 'ONE');
    expect(new Set(await written)).toEqual(new Set(['OK']));
  });
  closeRedis(worker);
  expect(warnings).toEqual([]);
  expect(reconnections).toBeGreaterThan(2);
});

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
