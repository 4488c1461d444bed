// How much is parked at which gate: two questions to Redis for each and queue, sent together. Only looks.
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';

export interface ParkedCount {
  readonly jobs: number;
  /** Wall clock, milliseconds: since when the oldest of them is parked. */
  readonly oldest?: number;
}

/** Of each gate, in their order; of all queues together. */
export async function countParked(redis: Redis, keys: RedisKeys, gates: readonly string[]): Promise<ParkedCount[]> {
  if (gates.length === 0) return [];
  const pipeline = redis.pipeline();
  const queues = QUEUE_NAMES.map((name) => queueKeys(keys, name));
  for (const index of gates.flatMap((gate) => queues.map(({ parked }) => parked(gate))))
    pipeline.zcard(index).zrange(index, '0', '0', 'WITHSCORES');
  const answers = ((await pipeline.exec()) ?? []).map(([fault, answer]) => {
    if (fault) throw redisFault(fault);
    return answer;
  });
  const indexes = Array.from({ length: answers.length / 2 }, (_, at) => ({
    jobs: Number(answers[2 * at]),
    oldest: Number((answers[2 * at + 1] as string[])[1] ?? Infinity),
  }));
  return gates.map((_, at) => {
    const own = indexes.slice(at * queues.length, (at + 1) * queues.length);
    const oldest = Math.min(...own.map((each) => each.oldest));
    return { jobs: own.reduce((sum, { jobs }) => sum + jobs, 0), ...(Number.isFinite(oldest) ? { oldest } : {}) };
  });
}
