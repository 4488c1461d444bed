// Number of intake objects that a job named at a sweep. If it halves within a week, jobs may have been lost: a Redis that was
// restored from an older state keeps its identity.
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { DAY_MS } from './sweep.ts';

/** A lower number is accepted after this time. */
const KEPT_MS = 7 * DAY_MS;

const keyOf = (keys: RedisKeys): string => keys.sweep('intake-named');

/** Compares with the number of an earlier sweep and stores the new one, unless it has more than halved. `now` in milliseconds. */
export async function hasHalved(redis: Redis, keys: RedisKeys, named: number, now: number): Promise<boolean> {
  const [before, at] = ((await runCommand(redis.get(keyOf(keys)))) ?? '0 0').split(' ').map(Number);
  if (named * 2 < (before ?? 0) && now < (at ?? 0) + KEPT_MS) return true;
  await acceptNamed(redis, keys, named, now);
  return false;
}

export async function acceptNamed(redis: Redis, keys: RedisKeys, named: number, now: number): Promise<void> {
  await runCommand(redis.set(keyOf(keys), `${named} ${now}`));
}
