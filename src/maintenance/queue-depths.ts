// Queue depths: one process of the fleet counts every 10 s, and all processes report that count.
// No query grows with the number of jobs.
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';
import { gateId, type KeyRef } from '../runtime/key-ref.ts';
import { memoryRatio } from '../queue/backlog/redis-memory-limit.ts';
import { countParked } from '../queue/parked/parked-counts.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { QueueCounts } from '../queue/bull/job-lookup.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import type { MaintenanceTask } from './scheduler.ts';

export interface GateOfDepth extends KeyRef {
  readonly code: string;
  /** Not `shut` while its jobs are being released. */
  readonly state: string;
}

export interface QueueDepthsDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly queue: Pick<JobQueue, 'counts' | 'letters' | 'platformContent'>;
  /** The gates that are not open. */
  readonly gates: () => readonly GateOfDepth[];
}

const depths = z.object({
  /** By queue: waiting, active, delayed, dead. */
  jobs: z.record(z.string(), z.record(z.string(), z.number())),
  parked: z.number(),
  oldestParkedSeconds: z.number(),
  gatesShut: z.record(z.string(), z.number()),
  deadByCode: z.record(z.string(), z.number()),
  /** Content under the platform key instead of the tenant's own. Older processes do not write it. */
  platformKeyJobs: z.number().default(0),
  platformKeyBytes: z.number().default(0),
  /** Used part of Redis' memory, 0 to 1; 0 if it has no limit. */
  redisMemoryRatio: z.number(),
});

export type QueueDepths = z.infer<typeof depths>;

const NONE: QueueDepths = {
  jobs: {},
  parked: 0,
  oldestParkedSeconds: 0,
  gatesShut: {},
  deadByCode: {},
  platformKeyJobs: 0,
  platformKeyBytes: 0,
  redisMemoryRatio: 0,
};

const EVERY_MS = 10_000;
const LIFE_MS = 60_000;

/** Parked jobs are counted for at most this many gates. */
const MAX_GATES = 1000;

export const queueDepthsTask = (deps: QueueDepthsDeps): MaintenanceTask => ({
  name: 'depths',
  everyMs: EVERY_MS,
  async run() {
    const text = JSON.stringify(await count(deps));
    await runCommand(deps.redis.set(deps.keys.depths, text, 'PX', LIFE_MS));
  },
});

const statesOf = ({ waiting, active, delayed, dead }: QueueCounts): Record<string, number> => ({
  waiting,
  active,
  delayed,
  dead,
});

async function count({ redis, keys, clock, queue, gates }: QueueDepthsDeps): Promise<QueueDepths> {
  const notOpen = gates();
  const [counts, parked, letters, platform, redisMemoryRatio] = await Promise.all([
    queue.counts(),
    countParked(
      redis,
      keys,
      notOpen.slice(0, MAX_GATES).map((gate) => gateId(gate)),
    ),
    queue.letters.counts(),
    queue.platformContent(),
    memoryRatio(redis),
  ]);
  const oldest = Math.min(...parked.map((each) => each.oldest ?? Infinity), clock.now());
  return {
    jobs: { index: statesOf(counts.index), upload: statesOf(counts.upload) },
    parked: parked.reduce((sum, { jobs }) => sum + jobs, 0),
    oldestParkedSeconds: Math.max(0, clock.now() - oldest) / 1000,
    gatesShut: sumByCode(
      notOpen.filter(({ state }) => state === 'shut'),
      () => 1,
    ),
    deadByCode: sumByCode(letters, ({ letters: count }) => count),
    platformKeyJobs: platform.jobs,
    platformKeyBytes: platform.bytes,
    redisMemoryRatio,
  };
}

function sumByCode<T extends { readonly code: string }>(
  items: readonly T[],
  valueOf: (item: T) => number,
): Record<string, number> {
  const sums = new Map<string, number>();
  for (const item of items) sums.set(item.code, (sums.get(item.code) ?? 0) + valueOf(item));
  return Object.fromEntries(sums);
}

/** Returns the last count, all zero after 60 s without one. Concurrent calls share one read. */
export function queueDepthsReader(redis: Redis, keys: RedisKeys): () => Promise<QueueDepths> {
  let reading: Promise<QueueDepths> | undefined;
  const read = async (): Promise<QueueDepths> => {
    try {
      const parsed = depths.safeParse(JSON.parse((await runCommand(redis.get(keys.depths))) ?? 'null'));
      return parsed.success ? parsed.data : NONE;
    } catch {
      return NONE;
    }
  };
  return () => (reading ??= read().finally(() => (reading = undefined)));
}
