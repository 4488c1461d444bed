// Backlog repair: corrects the counters after producers died between reserving and adding a job, and after data loss in Redis.
// Reads the queues in pages and corrects by the difference, so that concurrent changes stay counted.
import { takeLease } from '../../runtime/lease.ts';
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { queueKeys, type QueueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG, BACKLOG_KEYS, backlogKeys } from './backlog.ts';
import { backlogCounters, platformCounters, readCounts, type Counters, type Counts } from './counters.ts';
import { queueKey } from '../bull/queue-keys.ts';

const PAGE = 250;

/** How often the fleet compares the sum of the counters, and how often it recounts in any case. */
const CHECK_INTERVAL_MS = 60_000;
const COUNT_INTERVAL_MS = 3_600_000;

/** The counters may exceed the queues by this much: jobs that are reserved and about to be added. */
const SLACK_JOBS = 1000;
const SLACK_SHARE = 0.02;

const LISTS = ['wait', 'active'] as const;
const SETS = ['prioritized', 'delayed', 'failed'] as const;

/**
 * `places`: the lists of all queues, `listCount` of them, then their sets. Returns how many jobs the queues hold; if none,
 * it deletes the counters.
 */
const SIZE = script({
  name: 'backlog_size',
  keys: [...BACKLOG_KEYS, '...places'],
  args: ['listCount'],
  lua: `
  local size = 0
  for at, place in ipairs(places) do
    size = size + redis.call(at <= tonumber(listCount) and 'LLEN' or 'ZCARD', place)
  end
  if size == 0 then redis.call('UNLINK', backlogJobs, backlogBytes, platformJobs, platformBytes) end
  return size`,
});

/**
 * Returns the next cursor, '0' at the end, and of the counted jobs on the page: tenant, jobs and bytes, then jobs and bytes of
 * content under the platform key. Marks these entries as counted, so that they leave the count when their jobs end.
 */
const PAGE_OF = script({
  name: 'backlog_page',
  keys: ['place', 'entryPrefix'],
  args: ['kind', 'from', 'count'],
  lua: `${BACKLOG}
  local ids = {}
  local cursor
  if kind == 'list' then
    ids = redis.call('LRANGE', place, from, from + count - 1)
    cursor = #ids == tonumber(count) and string.format('%.0f', from + count) or '0'
  else
    local page = redis.call('ZSCAN', place, from, 'COUNT', count)
    cursor = page[1]
    for at = 1, #page[2], 2 do ids[#ids + 1] = page[2][at] end
  end
  local sums = {}
  for _, id in ipairs(ids) do
    local entry = entryPrefix .. id
    local fields = redis.pcall('HMGET', entry, 'priority', 'uncounted', 'data', 'opts')
    if fields[3] and not fields[2] and number_of(fields[1]) > 0 and is_counted_id(id) then
      local tenant = tenant_of(fields[3])
      local sum = sums[tenant] or { 0, 0, 0, 0 }
      sums[tenant] = sum
      sum[1] = sum[1] + 1
      sum[2] = sum[2] + size_of(fields[3])
      local platform_size = platform_size_of(fields[4])
      if platform_size then
        redis.call('HSET', entry, 'platformCounted', '1')
        sum[3] = sum[3] + 1
        sum[4] = sum[4] + platform_size
      end
    end
  end
  local result = { cursor }
  for tenant, sum in pairs(sums) do
    result[#result + 1] = tenant
    for at = 1, 4 do result[#result + 1] = sum[at] end
  end
  return result`,
});

/** `corrections`: triples of tenant, jobs and bytes to add. A tenant without jobs loses its bytes too. */
const CORRECT = script({
  name: 'backlog_correct',
  keys: ['jobCounts', 'byteCounts'],
  args: ['...corrections'],
  lua: `${BACKLOG}
  for at = 1, #corrections, 3 do
    local tenant = corrections[at]
    local jobs = counter_add(jobCounts, tenant, corrections[at + 1])
    local bytes = counter_add(byteCounts, tenant, corrections[at + 2])
    if jobs <= 0 then
      redis.call('HDEL', jobCounts, tenant)
      redis.call('HDEL', byteCounts, tenant)
    elseif bytes < 0 then
      redis.call('HSET', byteCounts, tenant, 0)
    end
  end`,
});

/** By tenant. */
interface Found {
  readonly jobs: Counts;
  readonly underPlatformKey: Counts;
}

function add(counts: Counts, tenant: string, jobs: number, bytes: number): void {
  const before = counts.get(tenant) ?? { jobs: 0, bytes: 0 };
  counts.set(tenant, { jobs: before.jobs + jobs, bytes: before.bytes + bytes });
}

/**
 * Corrects the counters if it is due: compares at most once a minute in the fleet, and recounts after an hour or if the
 * counters exceed the queues.
 */
export async function repairBacklog(redis: Redis, keys: RedisKeys): Promise<'nothing' | 'emptied' | 'recounted'> {
  // Not released: the expiry of the lease sets the interval.
  if (!(await takeLease(redis, keys.lease('backlog-look'), CHECK_INTERVAL_MS))) return 'nothing';
  const size = await sizeOf(redis, keys);
  if (size === 0) return 'emptied';
  const counted = await readCounts(redis, backlogCounters(keys));
  const sum = counted.values().reduce((jobs, one) => jobs + one.jobs, 0);
  const isOff = sum > size + SLACK_JOBS && sum > size * (1 + SLACK_SHARE);
  const hour = await takeLease(redis, keys.lease('backlog-count'), COUNT_INTERVAL_MS);
  if (!hour && !isOff) return 'nothing';
  try {
    await recount(redis, keys);
  } catch (error) {
    await hour?.free().catch(() => {});
    throw error;
  }
  return 'recounted';
}

/** Counts all queues. A job that is moved or removed meanwhile may be off by one until the next recount. */
export async function recount(redis: Redis, keys: RedisKeys): Promise<void> {
  const [backlog, platform] = [backlogCounters(keys), platformCounters(keys)];
  const counted = await readCounts(redis, backlog);
  const countedUnderPlatform = await readCounts(redis, platform);
  const found: Found = { jobs: new Map(), underPlatformKey: new Map() };
  for (const own of QUEUE_NAMES.map((name) => queueKeys(keys, name))) {
    for (const name of LISTS) await walk(redis, own, name, 'list', found);
    for (const name of SETS) await walk(redis, own, name, 'set', found);
  }
  // If the number of jobs is right, the producer's estimate of bytes is as good as this one.
  const off = differences(found.jobs, counted).filter(([, jobs]) => jobs !== 0);
  await correct(redis, backlog, off);
  await correct(redis, platform, differences(found.underPlatformKey, countedUnderPlatform));
}

/** Tenant, jobs and bytes to add. */
type Difference = readonly [string, number, number];

function differences(found: Counts, counted: Counts): Difference[] {
  const all = [...new Set([...counted.keys(), ...found.keys()])].map((tenant): Difference => {
    const [is, was] = [found.get(tenant), counted.get(tenant)];
    return [tenant, (is?.jobs ?? 0) - (was?.jobs ?? 0), (is?.bytes ?? 0) - (was?.bytes ?? 0)];
  });
  return all.filter(([, jobs, bytes]) => jobs !== 0 || bytes !== 0);
}

async function correct(redis: Redis, counters: Counters, off: readonly Difference[]): Promise<void> {
  for (let at = 0; at < off.length; at += PAGE) {
    await runScript(redis, CORRECT, { ...counters, corrections: off.slice(at, at + PAGE).flat() });
  }
}

async function walk(redis: Redis, keys: QueueKeys, name: string, kind: 'list' | 'set', into: Found): Promise<void> {
  let cursor = '0';
  do {
    const place = queueKey(keys, name);
    const input = { place, entryPrefix: queueKey(keys, ''), kind, from: cursor, count: PAGE };
    const [next, ...rows] = (await runScript(redis, PAGE_OF, input)) as [string, ...(string | number)[]];
    for (let at = 0; at < rows.length; at += 5) {
      const [jobs = 0, bytes = 0, platformJobs = 0, platformBytes = 0] = rows.slice(at + 1, at + 5).map(Number);
      add(into.jobs, String(rows[at]), jobs, bytes);
      if (platformJobs > 0) add(into.underPlatformKey, String(rows[at]), platformJobs, platformBytes);
    }
    cursor = next;
  } while (cursor !== '0');
}

async function sizeOf(redis: Redis, keys: RedisKeys): Promise<number> {
  const queues = QUEUE_NAMES.map((name) => queueKeys(keys, name));
  const keysOf = (names: readonly string[]): string[] =>
    queues.flatMap((own) => names.map((name) => queueKey(own, name)));
  const lists = keysOf(LISTS);
  const places = [...lists, ...keysOf(SETS)];
  return (await runScript(redis, SIZE, { ...backlogKeys(keys), places, listCount: lists.length })) as number;
}
