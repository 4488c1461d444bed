// Pending removals: content of ended jobs that is still in S3, each with the time at which its removal is due by Redis' clock.
// A name enters in the step that ends its job, and leaves after the removal, so neither a crash nor an outage of S3 loses it.
import { runScript, script } from '../../runtime/lua-script.ts';
import { intakeName, type IntakePlace } from '../../runtime/intake-key.ts';
import { runCommand, type Redis, type RedisKeys } from '../../runtime/redis.ts';

/** The process that ended the job removes its content first; the maintenance task does so if the name is still here then. */
const DUE_AFTER_S = 60;
/** For content that a job still names: its completion was rejected, or is not accepted yet. */
const NAMED_AFTER_S = 600;

/**
 * - `removal_add(removals, name)`
 * - `removal_of(data, installation, jobId)`: the name of the content in S3 that a job's data name, invalid if the data are; nil if
 *   there is none
 */
export const REMOVALS = `
  local function removal_add(removals, name)
    redis.call('ZADD', removals, tonumber(redis.call('TIME')[1]) + ${DUE_AFTER_S}, name)
  end
  local function removal_of(data, installation, jobId)
    local intake = string.match(data, '"content":{"intake":"(%x+)"}')
    if not intake then return nil end
    local function part(name) return string.match(data, '"' .. name .. '":"?([%w_=-]+)') or '' end
    return table.concat({ part('tenant'), jobId, installation, part('kind'), part('revision'), part('object'),
      part('corpus'), intake }, '/')
  end`;

const ADD = script({
  name: 'removal_add',
  keys: ['removals'],
  args: ['name'],
  lua: `${REMOVALS} removal_add(removals, name)`,
});

/** For content without a job that could not be removed. */
export async function addRemoval(redis: Redis, keys: RedisKeys, place: IntakePlace): Promise<void> {
  await runScript(redis, ADD, { removals: keys.intakeRemovals, name: intakeName(place) });
}

/** Whether the job of each content has ended, as far as Redis still has a record of it. */
export async function findEnded(redis: Redis, keys: RedisKeys, places: readonly IntakePlace[]): Promise<boolean[]> {
  if (places.length === 0) return [];
  const [pending, notes] = await Promise.all([
    runCommand(redis.zmscore(keys.intakeRemovals, ...places.map(intakeName))),
    runCommand(redis.mget(...places.map(({ jobId }) => keys.note(jobId)))),
  ]);
  return places.map((_, at) => typeof pending[at] === 'string' || /^(?:done|superseded|dead) /.test(notes[at] ?? ''));
}

/** Call after the removal. */
export async function deleteRemovals(redis: Redis, keys: RedisKeys, names: readonly string[]): Promise<void> {
  if (names.length > 0) await runCommand(redis.zrem(keys.intakeRemovals, ...names));
}

const DUE = script({
  name: 'removals_due',
  keys: ['removals'],
  args: ['limit'],
  lua: `return redis.call('ZRANGEBYSCORE', removals, '-inf', redis.call('TIME')[1], 'LIMIT', 0, limit)`,
});

/** The names that are due, longest first. */
export async function dueRemovals(redis: Redis, keys: RedisKeys, limit: number): Promise<string[]> {
  return (await runScript(redis, DUE, { removals: keys.intakeRemovals, limit })) as string[];
}

const POSTPONE = script({
  name: 'removals_postpone',
  keys: ['removals'],
  args: ['seconds', '...names'],
  lua: `
    local due = tonumber(redis.call('TIME')[1]) + seconds
    for _, name in ipairs(names) do redis.call('ZADD', removals, 'XX', due, name) end`,
});

/** Makes names due later: those of content that a job names in 10 minutes, others in 1 minute. */
export async function postponeRemovals(
  redis: Redis,
  keys: RedisKeys,
  names: readonly string[],
  reason: 'named' | 'failed',
): Promise<void> {
  if (names.length === 0) return;
  const seconds = reason === 'named' ? NAMED_AFTER_S : DUE_AFTER_S;
  await runScript(redis, POSTPONE, { removals: keys.intakeRemovals, seconds, names });
}
