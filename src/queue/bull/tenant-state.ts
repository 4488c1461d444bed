// Queue state of a deleted tenant, beside its jobs: backlog counters, fair-share state, and lists of dead letters.
// Redis keys that contain the tenant's name are removed in offboarding/keyspace.ts.
import { backlogKeys } from '../backlog/backlog.ts';
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { runCommand, queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';

/** Removes the state; with `isDry` only counts it. Returns the number of values. @throws SealdexError `REDIS_FAILED` */
export async function deleteQueueState(redis: Redis, keys: RedisKeys, tenant: string, isDry: boolean): Promise<number> {
  let traces = 0;
  const queues = QUEUE_NAMES.map((name) => queueKeys(keys, name));
  for (const hash of [...Object.values(backlogKeys(keys)), ...queues.map(({ fairTenants }) => fairTenants)])
    traces += await runCommand(isDry ? redis.hexists(hash, tenant) : redis.hdel(hash, tenant));
  for (const { letterLists } of queues) {
    let cursor = '0';
    do {
      const [next, names] = await runCommand(redis.sscan(letterLists, cursor, 'MATCH', `${tenant}:*`, 'COUNT', 1000));
      traces += names.length === 0 || isDry ? names.length : await runCommand(redis.srem(letterLists, ...names));
      cursor = next;
    } while (cursor !== '0');
  }
  return traces;
}
