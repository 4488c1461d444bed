// Pages of sorted sets by time or another score, from the oldest or the newest. A walk continues after the last position, even
// if that entry was removed, so that concurrent changes neither skip nor repeat other entries.
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis } from '../../runtime/redis.ts';

/** A position in a sorted set. Scores are wall clock, milliseconds; entries with the same score are ordered by id. */
export interface ListPosition {
  readonly jobId: string;
  readonly since: number;
}

export type Order = 'oldest' | 'newest';

export interface TimeRange {
  /** From this time on. */
  readonly since?: number | undefined;
  /** Before this time. */
  readonly before?: number | undefined;
  /** After this position, in the order of the walk. */
  readonly after?: ListPosition | undefined;
}

/**
 * Finds by bisection the first rank after (score, jobId) among the entries with that score. Compares bytes, as Redis does:
 * Lua's comparison depends on the server's locale.
 */
const PAGE = script({
  name: 'letters_page',
  keys: ['set'],
  args: ['order', 'score', 'jobId', 'size'],
  lua: `
    local newest = order == 'newest'
    local range = newest and 'ZREVRANGE' or 'ZRANGE'
    local function less(a, b)
      for i = 1, math.min(#a, #b) do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then return x < y end
      end
      return #a < #b
    end
    local function upto(bound)
      if newest then return redis.call('ZCOUNT', set, bound, '+inf') end
      return redis.call('ZCOUNT', set, '-inf', bound)
    end
    local first, last = upto('(' .. score), upto(score)
    while first < last do
      local middle = math.floor((first + last) / 2)
      local id = redis.call(range, set, middle, middle)[1]
      local behind
      if newest then behind = less(id, jobId) else behind = less(jobId, id) end
      if behind then last = middle else first = middle + 1 end
    end
    return redis.call(range, set, first, first + size - 1, 'WITHSCORES')`,
});

const boundOf = (score: number): string => (Number.isFinite(score) ? String(score) : score > 0 ? '+inf' : '-inf');

/** Start of a walk: the empty id is before all others. */
export function startOf(order: Order, { since, before, after }: TimeRange): ListPosition {
  const edge = order === 'newest' ? (before ?? Infinity) : (since ?? -Infinity);
  if (!after) return { since: edge, jobId: '' };
  const isInside = order === 'newest' ? after.since < edge : after.since >= edge;
  return isInside ? after : { since: edge, jobId: '' };
}

const isWithin = ({ since }: ListPosition, range: TimeRange): boolean =>
  since >= (range.since ?? -Infinity) && since < (range.before ?? Infinity);

/** Up to `size` positions of the range after `from`; fewer at its end. */
export async function pageOf(
  redis: Redis,
  key: string,
  order: Order,
  range: TimeRange,
  from: ListPosition,
  size: number,
): Promise<ListPosition[]> {
  const { jobId, since } = from;
  const input = { set: key, order, score: boundOf(since), jobId, size };
  const found = (await runScript(redis, PAGE, input)) as string[];
  const spots: ListPosition[] = [];
  for (let at = 0; at < found.length; at += 2) spots.push({ jobId: found[at] ?? '', since: Number(found[at + 1]) });
  return spots.filter((spot) => isWithin(spot, range));
}

/** All positions of a range, in pages of `size`. */
export async function* pagesOf(
  redis: Redis,
  key: string,
  order: Order,
  range: TimeRange,
  size: number,
  signal?: AbortSignal,
): AsyncGenerator<ListPosition[]> {
  let from = startOf(order, range);
  for (;;) {
    signal?.throwIfAborted();
    const page = await pageOf(redis, key, order, range, from, size);
    if (page.length > 0) yield page;
    if (page.length < size) return;
    from = page.at(-1)!;
  }
}
