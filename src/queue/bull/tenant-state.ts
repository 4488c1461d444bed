// What the queues remember of a tenant beside its jobs: counters of its backlog, its place in the fair share, its lists of
// dead letters. For a tenant that leaves; its keys in Redis are found by their names.
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { runCommand, queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';

/** Removes it, or with `isDry` only counts. Answers how many traces there were. @throws SealdexError `REDIS_FAILED` */
export async function forgetInQueues(redis: Redis, keys: RedisKeys, tenant: string, isDry: boolean): Promise<number> {
  let traces = 0;
  const queues = QUEUE_NAMES.map((name) => queueKeys(keys, name));
  for (const hash of [keys.backlogJobs, keys.backlogBytes, ...queues.map(({ fairTenants }) => fairTenants)])
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
