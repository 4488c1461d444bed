// Objects in intake that no job named, with the time of the first sweep that saw them so. Bounded; knows no S3.
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';

/** Name in intake -> wall clock of the first sighting, milliseconds. */
export type OrphanCandidates = ReadonlyMap<string, number>;

/** More are not remembered until some of these are gone. */
export const MOST_SUSPECTS = 10_000;

const PAGE = 1000;

const keyOf = (keys: RedisKeys): string => keys.sweep('intake');

export async function readSuspects(redis: Redis, keys: RedisKeys): Promise<OrphanCandidates> {
  const suspects = new Map<string, number>();
  for (let from = 0; from < MOST_SUSPECTS; from += PAGE) {
    const page = await runCommand(redis.zrange(keyOf(keys), String(from), String(from + PAGE - 1), 'WITHSCORES'));
    for (let at = 0; at < page.length; at += 2) suspects.set(page[at]!, Number(page[at + 1]));
    if (page.length < 2 * PAGE) break;
  }
  return suspects;
}

/** Remembers those of `now` and forgets the rest of `before`. */
export async function writeSuspects(
  redis: Redis,
  keys: RedisKeys,
  before: OrphanCandidates,
  now: OrphanCandidates,
): Promise<void> {
  await forgetSuspects(
    redis,
    keys,
    [...before.keys()].filter((name) => !now.has(name)),
  );
  const added = [...now].filter(([name]) => !before.has(name));
  for (const page of pagesOf(added))
    await runCommand(redis.zadd(keyOf(keys), ...page.flatMap(([name, since]) => [String(since), name])));
}

export async function forgetSuspects(redis: Redis, keys: RedisKeys, names: readonly string[]): Promise<void> {
  for (const page of pagesOf(names)) await runCommand(redis.zrem(keyOf(keys), ...page));
}

function* pagesOf<T>(items: readonly T[]): Generator<T[]> {
  for (let from = 0; from < items.length; from += PAGE) yield items.slice(from, from + PAGE);
}
