// Deletion of a tenant's gates and denials: removes them from Redis, whatever their state.
import { gateId } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { compareAndSetGate, type CompareAndSetDeps } from './compare-and-set.ts';
import { newerGate } from './gate-record.ts';
import { readGate, replaceGate } from './gate-storage.ts';
import type { ProbeTimes } from './schedule.ts';

export interface DeleteGatesDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly times: ProbeTimes;
}

/** Returns how many there were. With `isDry` only counts them. @throws SealdexError `REDIS_FAILED` */
export async function deleteGates(deps: DeleteGatesDeps, tenant: string, isDry: boolean): Promise<number> {
  const { redis, keys } = deps;
  const match = `${tenant}:*`;
  const gates = new Set<string>();
  let cursor = '0';
  do {
    const [next, flat] = await runCommand(redis.hscan(keys.gates, cursor, 'MATCH', match, 'COUNT', 1000));
    for (const id of flat.filter((_, at) => at % 2 === 0)) gates.add(id);
    cursor = next;
  } while (cursor !== '0');
  if (!isDry) {
    for (const id of gates) await deleteGate(deps, id);
    // The log names gates that no longer exist. A process that has not read it to its end reads all gates.
    await runCommand(redis.unlink(keys.gateLog));
  }
  let traces = gates.size;
  do {
    const [next, flat] = await runCommand(redis.zscan(keys.denials, cursor, 'MATCH', match, 'COUNT', 1000));
    const ids = flat.filter((_, at) => at % 2 === 0);
    traces += ids.length === 0 || isDry ? ids.length : await runCommand(redis.zrem(keys.denials, ...ids));
    cursor = next;
  } while (cursor !== '0');
  return traces;
}

async function deleteGate({ redis, keys, clock, times }: DeleteGatesDeps, id: string): Promise<void> {
  const read: CompareAndSetDeps['read'] = (of) => readGate(redis, keys, of);
  const { epoch, record, isNewer } = await read(id);
  if (isNewer) throw newerGate({ tenant: id.slice(0, id.indexOf(':')) });
  if (record && gateId(record) === id) {
    const replace: CompareAndSetDeps['replace'] = (...change) => replaceGate(redis, keys, ...change);
    await compareAndSetGate({ read, replace, clock, times, log: silentLog }, record, { kind: 'tenantErased' });
    return;
  }
  // Text that is not a gate. If it is replaced concurrently, the next pass finds it again.
  await replaceGate(redis, keys, id, epoch, { record: undefined, isPublished: false });
}
