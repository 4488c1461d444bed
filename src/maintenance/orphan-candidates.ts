// Orphan candidates: intake objects that no job named, with the time of the first sweep that found them so, in Redis.
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';

/** Name in intake to the time of the first sighting: wall clock, milliseconds. */
export type OrphanCandidates = ReadonlyMap<string, number>;

/** Further candidates are not stored until some of these are removed. */
export const MAX_CANDIDATES = 10_000;

const PAGE = 1000;

const keyOf = (keys: RedisKeys): string => keys.sweep('intake');

export async function readCandidates(redis: Redis, keys: RedisKeys): Promise<OrphanCandidates> {
  const candidates = new Map<string, number>();
  for (let from = 0; from < MAX_CANDIDATES; from += PAGE) {
    const page = await runCommand(redis.zrange(keyOf(keys), String(from), String(from + PAGE - 1), 'WITHSCORES'));
    for (let at = 0; at < page.length; at += 2) candidates.set(page[at]!, Number(page[at + 1]));
    if (page.length < 2 * PAGE) break;
  }
  return candidates;
}

/** Stores the candidates of `now`, and deletes those of `before` that are not in it. */
export async function writeCandidates(
  redis: Redis,
  keys: RedisKeys,
  before: OrphanCandidates,
  now: OrphanCandidates,
): Promise<void> {
  await deleteCandidates(
    redis,
    keys,
    [...before.keys()].filter((name) => !now.has(name)),
  );
  const added = [...now].filter(([name]) => !before.has(name));
  for (const page of pagesOf(added))
    await runCommand(redis.zadd(keyOf(keys), ...page.flatMap(([name, since]) => [String(since), name])));
}

export async function deleteCandidates(redis: Redis, keys: RedisKeys, names: readonly string[]): Promise<void> {
  for (const page of pagesOf(names)) await runCommand(redis.zrem(keyOf(keys), ...page));
}

function* pagesOf<T>(items: readonly T[]): Generator<T[]> {
  for (let from = 0; from < items.length; from += PAGE) yield items.slice(from, from + PAGE);
}
