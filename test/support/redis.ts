// The Redis of the test run, and the removal of a test's keys.
import { Redis } from 'ioredis';
import { inject } from 'vitest';

export const testRedisUrl = (): string => inject('redisUrl');

/** Removes all keys with a prefix. */
export async function removeKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 }) as AsyncIterable<string[]>) {
      if (keys.length > 0) await redis.unlink(...keys);
    }
  } finally {
    redis.disconnect();
  }
}
