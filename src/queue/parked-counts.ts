// How much is parked at which gate: two questions to Redis for each, sent together. Only looks.
import { redisFault, type Redis, type RedisKeys } from '../redis.ts';

export interface ParkedCount {
  readonly jobs: number;
  /** Wall clock, milliseconds: since when the oldest of them is parked. */
  readonly oldest?: number;
}

/** Of each gate, in their order. */
export async function countParked(redis: Redis, keys: RedisKeys, gates: readonly string[]): Promise<ParkedCount[]> {
  if (gates.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const gate of gates) {
    const index = keys.parked(gate);
    pipeline.zcard(index).zrange(index, '0', '0', 'WITHSCORES');
  }
  const answers = (await pipeline.exec()) ?? [];
  return gates.map((_, at) => {
    const [[countFault, count] = [], [firstFault, first] = []] = answers.slice(2 * at, 2 * at + 2);
    if (countFault || firstFault) throw redisFault(countFault ?? firstFault);
    const oldest = (first as string[] | undefined)?.[1];
    return { jobs: Number(count), ...(oldest === undefined ? {} : { oldest: Number(oldest) }) };
  });
}
