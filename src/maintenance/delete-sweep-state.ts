// What sweeps remember of a tenant that has left: content of it that they suspect, and how far they have come if that is at
// one of its documents. Such a sweep begins anew.
import { ask, run, type Redis, type RedisKeys, type Script } from '../runtime/redis.ts';

const FORGET_CURSOR: Script = {
  name: 'sweep_forget_cursor',
  keys: 1,
  lua: `
    local cursor = redis.call('GET', KEYS[1]) or ''
    if string.sub(cursor, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
    return ARGV[2] == '1' and redis.call('DEL', KEYS[1]) or 1`,
};

/** Removes it, or with `isDry` only counts. Answers how many traces there were. @throws SealdexError `REDIS_FAILED` */
export async function forgetInSweeps(redis: Redis, keys: RedisKeys, tenant: string, isDry: boolean): Promise<number> {
  let traces = 0;
  let cursor = '0';
  do {
    const [next, flat] = await ask(redis.zscan(keys.sweep('intake'), cursor, 'MATCH', `${tenant}/*`, 'COUNT', 1000));
    const names = flat.filter((_, at) => at % 2 === 0);
    traces += names.length === 0 || isDry ? names.length : await ask(redis.zrem(keys.sweep('intake'), ...names));
    cursor = next;
  } while (cursor !== '0');
  const args = [keys.sweep('tombstones'), `documents/${tenant}/`, isDry ? 0 : 1];
  return traces + Number(await run(redis, FORGET_CURSOR, args));
}
