// Redis as it is for us: what INFO tells (CONFIG is refused by managed ones), its clock, and whether we may write.
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
  const name = valkey === undefined ? `Redis ${version}` : `Valkey ${valkey}, which says Redis ${version}`;
  return isNewEnough(version)
    ? passed(`${name}.`)
    : failed(`${name} is too old.`, 'Use Redis 6.2 or later, or Valkey.');
}

export function evictionOf(memory: string): CheckResult {
  const policy = infoField(memory, 'maxmemory_policy');
  if (policy === undefined) return warning('INFO does not tell it.', 'Make sure that maxmemory-policy is noeviction.');
  if (policy === 'noeviction') return passed('noeviction: nothing is thrown away when it is full.');
  return failed(`${policy}: jobs would be thrown away when it is full.`, 'Set maxmemory-policy noeviction.');
}

export function persistenceOf(persistence: string): CheckResult {
  if (infoField(persistence, 'loading') === '1') return warning('It is still loading its data.', 'Look again later.');
  if (infoField(persistence, 'aof_enabled') !== '1')
    return warning('No append-only file: what is queued is lost if it restarts.', 'Set appendonly yes.');
  if (infoField(persistence, 'aof_last_write_status') === 'err')
    return failed('The append-only file cannot be written: Redis refuses writes.', 'Look at its disk.');
  return passed('It keeps an append-only file.');
}

const NEARLY_FULL = 0.8;

export function memoryOf(memory: string): CheckResult {
  const used = Number(infoField(memory, 'used_memory') ?? 0);
  const limit = Number(infoField(memory, 'maxmemory') ?? 0);
  if (limit === 0)
    return warning(
      `${approximateSize(used)} used, and no limit: when the machine is full, Redis is killed.`,
      'Set maxmemory: then producers are told to come back later.',
    );
  const observed = `${approximateSize(used)} of ${approximateSize(limit)} used`;
  if (used >= limit)
    return failed(`${observed}: it is full, and refuses writes.`, 'Raise maxmemory, or let workers catch up.');
  if (used >= limit * NEARLY_FULL) return warning(`${observed}.`, 'Raise maxmemory, or let workers catch up.');
  return passed(`${observed}.`);
}

/** Redis tells whole seconds at most a second old, on a way that takes some time. */
const NOTICED_MS = 5000;

export function clockOf(theirs: number, ours: number): CheckResult {
  const skewMs = Math.abs(theirs - ours);
  const observed = `Its clock and ours are ${approximateDuration(skewMs)} apart`;
  const remedy = 'Set the clocks of both machines (NTP).';
  if (skewMs > MAX_SKEW_MS) return failed(`${observed}: producers refuse such revisions (CLOCK_SKEW).`, remedy);
  return skewMs > NOTICED_MS ? warning(`${observed}.`, remedy) : passed(`${observed}.`);
}

/** By a script, as most of ours is. */
async function writing(redis: Redis, queue: string): Promise<CheckResult> {
  const value = randomBytes(8).toString('hex');
  const read = await runScript(redis, WRITE, { trial: redisKeys(queue).trial(value), value });
  return read === value
    ? passed('A script may write, read and remove.')
    : failed('What was written cannot be read.', 'Find what stands between us and Redis.');
}
