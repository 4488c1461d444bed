// Checks Redis: the result of INFO (managed servers reject CONFIG), its clock, and write permission.
import { randomBytes } from 'node:crypto';
import { MAX_SKEW_MS, type Clock } from '../runtime/clock.ts';
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, infoField, isNewEnough, redisKeys, type Redis } from '../runtime/redis.ts';
import { failed, passed, warning, type Check, type CheckResult } from './finding.ts';
import { approximateDuration, approximateSize } from '../runtime/units.ts';

const WRITE = script({
  name: 'doctor_write',
  keys: ['trial'],
  args: ['value'],
  lua: `redis.call('SET', trial, value, 'PX', 10000)
local read = redis.call('GET', trial)
redis.call('DEL', trial)
return read`,
});

export function redisChecks(redis: Redis, queue: string, clock: Clock): Check[] {
  const info = (section: string): Promise<string> => runCommand(redis.info(section));
  return [
    { check: 'redis version', run: async () => versionOf(await info('server')) },
    { check: 'redis eviction', run: async () => evictionOf(await info('memory')) },
    { check: 'redis persistence', run: async () => persistenceOf(await info('persistence')) },
    { check: 'redis memory', run: async () => memoryOf(await info('memory')) },
    {
      check: 'redis clock',
      run: async () => clockOf(Number((await runCommand(redis.time()))[0]) * 1000, clock.now()),
    },
    { check: 'redis writing', run: () => writing(redis, queue) },
  ];
}

export function versionOf(server: string): CheckResult {
  const version = infoField(server, 'redis_version') ?? 'unknown';
  const valkey = infoField(server, 'valkey_version');
  const name = valkey === undefined ? `Redis ${version}` : `Valkey ${valkey} (Redis-compatible ${version})`;
  return isNewEnough(version)
    ? passed(`${name}.`)
    : failed(`${name} is too old.`, 'Use Redis 6.2 or later, or Valkey.');
}

export function evictionOf(memory: string): CheckResult {
  const policy = infoField(memory, 'maxmemory_policy');
  if (policy === undefined) return warning('Not reported by INFO.', 'Make sure that maxmemory-policy is noeviction.');
  if (policy === 'noeviction') return passed('maxmemory-policy is noeviction.');
  return failed(`maxmemory-policy is ${policy}: jobs can be evicted when memory is full.`, 'Set it to noeviction.');
}

export function persistenceOf(persistence: string): CheckResult {
  if (infoField(persistence, 'loading') === '1')
    return warning('Redis is still loading its data.', 'Rerun sealdex doctor later.');
  if (infoField(persistence, 'aof_enabled') !== '1')
    return warning('AOF is off: queued jobs are lost if Redis restarts.', 'Set appendonly yes.');
  if (infoField(persistence, 'aof_last_write_status') === 'err')
    return failed('Redis cannot write its append-only file and rejects writes.', 'Check the Redis disk.');
  return passed('AOF is on.');
}

const NEARLY_FULL = 0.8;

export function memoryOf(memory: string): CheckResult {
  const used = Number(infoField(memory, 'used_memory') ?? 0);
  const limit = Number(infoField(memory, 'maxmemory') ?? 0);
  if (limit === 0)
    return warning(
      `${approximateSize(used)} used, no maxmemory set: Redis can be killed when the host runs out of memory.`,
      'Set maxmemory, so that producers reject work before that.',
    );
  const observed = `${approximateSize(used)} of ${approximateSize(limit)} used`;
  if (used >= limit) return failed(`${observed}: full, rejecting writes.`, 'Raise maxmemory or add workers.');
  if (used >= limit * NEARLY_FULL) return warning(`${observed}.`, 'Raise maxmemory or add workers.');
  return passed(`${observed}.`);
}

/** Redis returns whole seconds, and the response takes some time. */
const NOTICED_MS = 5000;

export function clockOf(redisMs: number, localMs: number): CheckResult {
  const skewMs = Math.abs(redisMs - localMs);
  const observed = `Clock difference to this host: ${approximateDuration(skewMs)}`;
  const remedy = 'Synchronize both clocks with NTP.';
  if (skewMs > MAX_SKEW_MS) return failed(`${observed}; producers reject requests (CLOCK_SKEW).`, remedy);
  return skewMs > NOTICED_MS ? warning(`${observed}.`, remedy) : passed(`${observed}.`);
}

/** By a script, like most writes of sealdex. */
async function writing(redis: Redis, queue: string): Promise<CheckResult> {
  const value = randomBytes(8).toString('hex');
  const read = await runScript(redis, WRITE, { trial: redisKeys(queue).trial(value), value });
  return read === value
    ? passed('Scripts can write, read and delete keys.')
    : failed('Could not read back a written value.', 'Check for a proxy between this host and Redis.');
}
