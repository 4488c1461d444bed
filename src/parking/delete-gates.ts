// Gates of a tenant that has left, and its denials: taken away whatever they say, since nobody works under them any more.
import { ask, run, type Redis, type RedisKeys, type Script } from '../runtime/redis.ts';

/** The epoch rises, so that every process reads the gates again and forgets those too. */
const DROP_ALL: Script = {
  name: 'drop_gates',
  keys: 2,
  lua: `
    local dropped = redis.call('HDEL', KEYS[1], unpack(ARGV))
    if dropped > 0 then redis.call('INCR', KEYS[2]) end
    return dropped`,
};

/** Removes them, or with `isDry` only counts. Answers how many there were. @throws SealdexError `REDIS_FAILED` */
export async function forgetGates(redis: Redis, keys: RedisKeys, tenant: string, isDry: boolean): Promise<number> {
  const match = `${tenant}:*`;
  let traces = 0;
  let cursor = '0';
  do {
    const [next, flat] = await ask(redis.hscan(keys.gates, cursor, 'MATCH', match, 'COUNT', 1000));
    const ids = flat.filter((_, at) => at % 2 === 0);
    traces +=
      ids.length === 0 || isDry ? ids.length : Number(await run(redis, DROP_ALL, [keys.gates, keys.gateEpoch, ...ids]));
    cursor = next;
  } while (cursor !== '0');
  do {
    const [next, flat] = await ask(redis.zscan(keys.denials, cursor, 'MATCH', match, 'COUNT', 1000));
    const ids = flat.filter((_, at) => at % 2 === 0);
    traces += ids.length === 0 || isDry ? ids.length : await ask(redis.zrem(keys.denials, ...ids));
    cursor = next;
  } while (cursor !== '0');
  return traces;
}
