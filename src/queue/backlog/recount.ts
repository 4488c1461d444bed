// The backlog's counters set right: what producers counted that died before they added the job, and what Redis lost.
// Walks the queues a page at a time and corrects by the difference, so that what joins and leaves meanwhile stays counted.
import { takeLease } from '../../runtime/lease.ts';
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, queueKeys, type QueueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG } from './backlog.ts';
import { queueKey } from '../bull/queue-keys.ts';

const PAGE = 250;

/** How often the fleet looks whether the counters fit, and how often it counts in any case. */
const LOOK_MS = 60_000;
const COUNT_MS = 3_600_000;

/** So much more than there is may be counted: jobs that were stamped and are about to be added. */
const SLACK_JOBS = 1000;
const SLACK_SHARE = 0.02;

const LISTS = ['wait', 'active'] as const;
const SETS = ['prioritized', 'delayed', 'failed'] as const;

/**
 * `places`: the lists of all queues, `listCount` of them, then their sets. Answers how many jobs the queues hold; with none,
 * nobody has a backlog.
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

/** Answers the next cursor, '0' at the end, and tenant, jobs and bytes of those on the page that are counted. */
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
  local answer = { cursor }
  for tenant, sum in pairs(sums) do
    answer[#answer + 1] = tenant
    answer[#answer + 1] = sum[1]
    answer[#answer + 1] = sum[2]
  end
  return answer`,
});

/** Tenant, jobs, bytes to add each; one that has none left has no bytes either. */
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
 * Sets the counters right when it is time: at most once a minute in the fleet, and after an hour or when more is counted
 * than there is. Answers what it did.
 */
export async function repairBacklog(redis: Redis, keys: RedisKeys): Promise<'nothing' | 'emptied' | 'recounted'> {
  // Not given back: a lease that runs out is the pace.
  if (!(await takeLease(redis, keys.lease('backlog-look'), LOOK_MS))) return 'nothing';
  const size = await sizeOf(redis, keys);
  if (size === 0) return 'emptied';
  const counted = await readCounters(redis, keys);
  const sum = counted.values().reduce((jobs, one) => jobs + one.jobs, 0);
  const isOff = sum > size + SLACK_JOBS && sum > size * (1 + SLACK_SHARE);
  const hour = await takeLease(redis, keys.lease('backlog-count'), COUNT_MS);
  if (!hour && !isOff) return 'nothing';
  try {
    await recount(redis, keys);
  } catch (error) {
    await hour?.free().catch(() => {});
    throw error;
  }
  return 'recounted';
}

/** Walks all queues. What is moved or removed in that time may be off by one each, until the next time. */
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
    // Bytes of jobs that are the right number are an estimate that the producer made, as good as this one.
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

/** As our scripts read them: what is no number is none. */
function wholeOf(text: string | undefined): number {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : 0;
}

/** A page at a time: there is a field for each tenant. */
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
