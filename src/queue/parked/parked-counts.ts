// Counts of parked jobs: how many jobs are parked at each gate, and since when.
import { runScript, script } from '../../runtime/lua-script.ts';
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';

export interface ParkedCount {
  readonly jobs: number;
  /** Wall clock, milliseconds: when the oldest of them was parked. */
  readonly oldest?: number;
}

/** Gates per script, so that no script blocks Redis for long. */
const BATCH = 100;

/** Returns the number of jobs and the score of the oldest for each index. One command costs a client less than two for each. */
const COUNT = script({
  name: 'count_parked',
  keys: ['...indexes'],
  lua: `
    local result = {}
    for _, index in ipairs(indexes) do
      local oldest = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')[2]
      result[#result + 1] = oldest and redis.call('ZCARD', index) or 0
      result[#result + 1] = oldest or ''
    end
    return result`,
});

/** Returns one count for each gate, in the same order, over all queues. @throws SealdexError `REDIS_FAILED` */
export async function countParked(redis: Redis, keys: RedisKeys, gates: readonly string[]): Promise<ParkedCount[]> {
  const queues = QUEUE_NAMES.map((name) => queueKeys(keys, name));
  const counts: ParkedCount[] = [];
  for (let from = 0; from < gates.length; from += BATCH) {
    const batch = gates.slice(from, from + BATCH);
    const indexes = batch.flatMap((gate) => queues.map(({ parked }) => parked(gate)));
    const flat = (await runScript(redis, COUNT, { indexes })) as (number | string)[];
    const width = 2 * queues.length;
    counts.push(...batch.map((_, at) => sumOf(flat.slice(at * width, (at + 1) * width))));
  }
  return counts;
}

function sumOf(flat: readonly (number | string)[]): ParkedCount {
  let jobs = 0;
  let oldest = Number.POSITIVE_INFINITY;
  for (let at = 0; at < flat.length; at += 2) {
    jobs += Number(flat[at]);
    if (flat[at + 1] !== '') oldest = Math.min(oldest, Number(flat[at + 1]));
  }
  return { jobs, ...(Number.isFinite(oldest) ? { oldest } : {}) };
}
