// A separate persistent Redis that can be stopped and started again at the same address, with aged keys.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '@sealdex/local-aws';

export interface KeptRedis extends AsyncDisposable {
  readonly redis: RedisServer;
  again(): Promise<void>;
  /** While it is stopped: ages everything that expires (locks, leases, heartbeats) by `ms`. */
  age(ms: number): Promise<void>;
}

export async function keptRedis(): Promise<KeptRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-outage-'));
  let redis = await startRedis({ dir });
  return {
    get redis() {
      return redis;
    },
    async again() {
      redis = await startRedis({ dir, port: redis.port });
    },
    async age(ms) {
      // On another port, so that waiting clients do not connect in between.
      const aside = await startRedis({ dir });
      try {
        await shorten(aside.url, ms);
      } finally {
        await aside.stop();
      }
    },
    async [Symbol.asyncDispose]() {
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function shorten(url: string, ms: number): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of redis.scanStream({ count: 1000 }) as AsyncIterable<string[]>)
      for (const key of keys) {
        const leftMs = await redis.pttl(key);
        // Redis removes expired keys.
        if (leftMs >= 0) await redis.pexpire(key, leftMs - ms);
      }
  } finally {
    redis.disconnect();
  }
}
