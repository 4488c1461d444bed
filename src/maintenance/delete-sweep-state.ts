// Sweep state of a deleted tenant: its orphan candidates, and the cursor of the tombstone sweep if it is at the tenant.
// A sweep whose cursor is removed restarts.
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';

const FORGET_CURSOR = script({
  name: 'sweep_forget_cursor',
  keys: ['sweep'],
  args: ['prefix', 'isDry'],
  lua: `
    local cursor = redis.call('GET', sweep) or ''
    if string.sub(cursor, 1, #prefix) ~= prefix then return 0 end
    return isDry == '0' and redis.call('DEL', sweep) or 1`,
});

/** Removes the state; with `isDry` only counts it. Returns the number of values. @throws SealdexError `REDIS_FAILED` */
export async function deleteSweepState(redis: Redis, keys: RedisKeys, tenant: string, isDry: boolean): Promise<number> {
  let traces = 0;
  let cursor = '0';
  do {
    const [next, flat] = await runCommand(
      redis.zscan(keys.sweep('intake'), cursor, 'MATCH', `${tenant}/*`, 'COUNT', 1000),
    );
    const names = flat.filter((_, at) => at % 2 === 0);
    traces += names.length === 0 || isDry ? names.length : await runCommand(redis.zrem(keys.sweep('intake'), ...names));
    cursor = next;
  } while (cursor !== '0');
  const input = { sweep: keys.sweep('tombstones'), prefix: `documents/${tenant}/`, isDry: isDry ? 1 : 0 };
  return traces + Number(await runScript(redis, FORGET_CURSOR, input));
}
