// Backlog repair: corrects the counters after producers died between reserving and adding a job, and after data loss in Redis.
// Reads the queues in pages and corrects by the difference, so that concurrent changes stay counted.
import { takeLease } from '../../runtime/lease.ts';
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, queueKeys, type QueueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG } from './backlog.ts';
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
  keys: ['backlogJobs', 'backlogBytes', '...places'],
  args: ['listCount'],
  lua: `
  local size = 0
  for at, place in ipairs(places) do
    size = size + redis.call(at <= tonumber(listCount) and 'LLEN' or 'ZCARD', place)
  end
  if size == 0 then redis.call('UNLINK', backlogJobs, backlogBytes) end
  return size`,
});

/** Returns the next cursor, '0' at the end, and tenant, jobs and bytes of the counted jobs on the page. */
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
    local fields = redis.pcall('HMGET', entryPrefix .. id, 'priority', 'uncounted', 'data')
    if fields[3] and not fields[2] and number_of(fields[1]) > 0 and is_counted_id(id) then
      local tenant = tenant_of(fields[3])
      sums[tenant] = sums[tenant] or { 0, 0 }
      sums[tenant][1] = sums[tenant][1] + 1
      sums[tenant][2] = sums[tenant][2] + size_of(fields[3])
    end
  end
  local result = { cursor }
  for tenant, sum in pairs(sums) do
    result[#result + 1] = tenant
    result[#result + 1] = sum[1]
    result[#result + 1] = sum[2]
  end
  return result`,
});

/** `corrections`: triples of tenant, jobs and bytes to add. A tenant without jobs loses its bytes too. */
const CORRECT = script({
  name: 'backlog_correct',
  keys: ['backlogJobs', 'backlogBytes'],
  args: ['...corrections'],
  lua: `${BACKLOG}
  for at = 1, #corrections, 3 do
    local tenant = corrections[at]
    local jobs = counter_add(backlogJobs, tenant, corrections[at + 1])
    local bytes = counter_add(backlogBytes, tenant, corrections[at + 2])
    if jobs <= 0 then
      redis.call('HDEL', backlogJobs, tenant)
      redis.call('HDEL', backlogBytes, tenant)
    elseif bytes < 0 then
      redis.call('HSET', backlogBytes, tenant, 0)
    end
  end`,
});

type Counts = Map<string, { jobs: number; bytes: number }>;

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
  const counted = await readCounters(redis, keys);
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
  const counted = await readCounters(redis, keys);
  const found: Counts = new Map();
  for (const own of QUEUE_NAMES.map((name) => queueKeys(keys, name))) {
    for (const name of LISTS) await walk(redis, own, name, 'list', found);
    for (const name of SETS) await walk(redis, own, name, 'set', found);
  }
  const off = [...new Set([...counted.keys(), ...found.keys()])].flatMap((tenant) => {
    const [is, was] = [found.get(tenant), counted.get(tenant)];
    const jobs = (is?.jobs ?? 0) - (was?.jobs ?? 0);
    // If the number of jobs is right, the producer's estimate of bytes is as good as this one.
    return jobs === 0 ? [] : [[tenant, jobs, (is?.bytes ?? 0) - (was?.bytes ?? 0)]];
  });
  const { backlogJobs, backlogBytes } = keys;
  for (let at = 0; at < off.length; at += PAGE) {
    const corrections = off.slice(at, at + PAGE).flat();
    await runScript(redis, CORRECT, { backlogJobs, backlogBytes, corrections });
  }
}

async function walk(redis: Redis, keys: QueueKeys, name: string, kind: 'list' | 'set', into: Counts): Promise<void> {
  let cursor = '0';
  do {
    const place = queueKey(keys, name);
    const input = { place, entryPrefix: queueKey(keys, ''), kind, from: cursor, count: PAGE };
    const [next, ...rows] = (await runScript(redis, PAGE_OF, input)) as [string, ...(string | number)[]];
    for (let at = 0; at < rows.length; at += 3) {
      add(into, String(rows[at]), Number(rows[at + 1]), Number(rows[at + 2]));
    }
    cursor = next;
  } while (cursor !== '0');
}

async function sizeOf(redis: Redis, keys: RedisKeys): Promise<number> {
  const queues = QUEUE_NAMES.map((name) => queueKeys(keys, name));
  const keysOf = (names: readonly string[]): string[] =>
    queues.flatMap((own) => names.map((name) => queueKey(own, name)));
  const { backlogJobs, backlogBytes } = keys;
  const lists = keysOf(LISTS);
  const places = [...lists, ...keysOf(SETS)];
  return (await runScript(redis, SIZE, { backlogJobs, backlogBytes, places, listCount: lists.length })) as number;
}

async function readCounters(redis: Redis, keys: RedisKeys): Promise<Counts> {
  const jobs = await readHash(redis, keys.backlogJobs);
  const bytes = await readHash(redis, keys.backlogBytes);
  return new Map([...jobs].map(([tenant, count]) => [tenant, { jobs: count, bytes: bytes.get(tenant) ?? 0 }]));
}

/** As the scripts read counters: a text that is not a number is 0. */
function wholeOf(text: string | undefined): number {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : 0;
}

/** In pages: there is a field for each tenant. */
async function readHash(redis: Redis, key: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  let cursor = '0';
  do {
    const [next, fields] = await runCommand(redis.hscan(key, cursor, 'COUNT', 1000));
    for (let at = 0; at < fields.length; at += 2) found.set(fields[at]!, wholeOf(fields[at + 1]));
    cursor = next;
  } while (cursor !== '0');
  return found;
}
