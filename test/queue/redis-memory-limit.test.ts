// Redis counts as full from three quarters of its memory on, is read once a second, and does not count as full without a
// response.
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { startRedis, type RedisServer } from '@sealdex/local-aws';
import { SealdexError } from '../../src/runtime/errors.ts';
import { MemoryLimit } from '../../src/queue/backlog/redis-memory-limit.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';

let server: RedisServer;
let redis: Redis;
let clock: FakeClock;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
  // Connections need almost no memory compared with this.
  await redis.setrange('padding', 20_000_000, 'x');
});
beforeEach(async () => {
  clock = new FakeClock();
  await redis.config('SET', 'maxmemory', '0');
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** Sets the limit so that the given share of it is used. */
async function used(share: number): Promise<void> {
  const bytes = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  await redis.config('SET', 'maxmemory', String(Math.round(bytes / share)));
}

const answer = (limit: MemoryLimit): Promise<string> =>
  limit.refuse().then(
    () => 'room',
    (error: unknown) => (error instanceof SealdexError ? `${error.code} ${error.retryAfterMs}` : String(error)),
  );

it('the limit rejects from three quarters of maxmemory on, and never without maxmemory', async () => {
  const limit = new MemoryLimit(redis, clock);
  expect(await answer(limit)).toBe('room');
  for (const [share, wanted] of [
    [0.6, 'room'],
    [0.85, 'QUEUE_FULL 30000'],
    [5, 'QUEUE_FULL 30000'],
    [0.6, 'room'],
  ] as const) {
    await used(share);
    clock.advance(1000);
    expect(await answer(limit)).toBe(wanted);
  }
});

it('the limit reads Redis once a second, regardless of the number of requests', async () => {
  const limit = new MemoryLimit(redis, clock);
  await redis.config('RESETSTAT');
  const reads = async (): Promise<number> =>
    Number(/cmdstat_info:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  const before = await reads();
  await Promise.all(Array.from({ length: 100 }, () => answer(limit)));
  clock.advance(999);
  await answer(limit);
  expect(await reads()).toBe(before + 2);
  clock.advance(1);
  await answer(limit);
  expect(await reads()).toBe(before + 4);
});

it('the limit throws REDIS_FAILED without a response from Redis, and reads again for the next request', async () => {
  const away = new Redis(server.url, { lazyConnect: true, enableOfflineQueue: false });
  const limit = new MemoryLimit(away, clock);
  expect(await answer(limit)).toBe('REDIS_FAILED undefined');
  expect(await eventually(async () => (await answer(limit)) === 'room')).toBe(true);
  away.disconnect();
});
