// Starts one redis-server for the whole run and passes its address to the tests.
import type { TestProject } from 'vitest/node';
import { startRedis } from '../../packages/local-aws/src/redis/redis.ts';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startRedis();
  project.provide('redisUrl', redis.url);
  return () => redis.stop();
}
