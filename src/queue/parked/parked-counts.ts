// Counts of parked jobs: how many jobs are parked at each gate, and since when, in one pipeline.
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';

export interface ParkedCount {
  readonly jobs: number;
  /** Wall clock, milliseconds: when the oldest of them was parked. */
  readonly oldest?: number;
}

/** Returns one count for each gate, in the same order, over all queues. */
export async function countParked(redis: Redis, keys: RedisKeys, gates: readonly string[]): Promise<ParkedCount[]> {
  if (gates.length === 0) return [];
  const pipeline = redis.pipeline();
  const queues = QUEUE_NAMES.map((name) => queueKeys(keys, name));
  for (const index of gates.flatMap((gate) => queues.map(({ parked }) => parked(gate))))
    pipeline.zcard(index).zrange(index, '0', '0', 'WITHSCORES');
  const replies = ((await pipeline.exec()) ?? []).map(([fault, reply]) => {
    if (fault) throw redisFault(fault);
    return reply;
  });
  const indexes = Array.from({ length: replies.length / 2 }, (_, at) => ({
    jobs: Number(replies[2 * at]),
    oldest: Number((replies[2 * at + 1] as string[])[1] ?? Infinity),
  }));
  return gates.map((_, at) => {
    const own = indexes.slice(at * queues.length, (at + 1) * queues.length);
    const oldest = Math.min(...own.map((each) => each.oldest));
    return { jobs: own.reduce((sum, { jobs }) => sum + jobs, 0), ...(Number.isFinite(oldest) ? { oldest } : {}) };
  });
}
