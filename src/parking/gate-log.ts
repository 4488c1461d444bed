// Gate log: the last changes of all gates in Redis, so that a process reads only the gates that changed since its last read.
// A change by an older version is not in the log. Then all gates are read.
import { createHash } from 'node:crypto';
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { parseGate, unlessForged, type Gate } from './gate-record.ts';

/** Maximum number of entries; a process that is further behind reads all gates. */
const MAX_ENTRIES = 10_000;

const PAGE = 250;

/** Entry of a change: `<epoch> <gate id> <SHA-1 of the gate's text>`. It shows whether Redis assigned an epoch twice. */
export const entryOf = (epoch: number, id: string, text: string): string =>
  `${epoch} ${id} ${createHash('sha1').update(text).digest('hex')}`;

/**
 * Lua: `append_change(log, last, now, id, text)`, with the epochs before and after the change. A log that does not end with the
 * epoch before is restarted, since it lacks changes.
 */
export const APPEND = `
  local function append_change(log, last, now, id, text)
    local epoch = string.match(redis.call('LINDEX', log, 0) or '', '^(%d+) ') or '0'
    if tonumber(epoch) ~= last then redis.call('UNLINK', log) end
    redis.call('LPUSH', log, now .. ' ' .. id .. ' ' .. redis.sha1hex(text))
    redis.call('LTRIM', log, 0, ${MAX_ENTRIES - 1})
  end`;

/** The last change: epoch of all gates, and its entry, if the log has it. */
export interface LastChange {
  readonly epochOfAll: number;
  readonly entry: string | undefined;
}

/** 0 for a counter that sealdex did not write, as for none. */
const epochOf = (counter: string | null): number => (/^\d{1,15}$/.test(counter ?? '') ? Number(counter) : 0);

export async function readLastChange(redis: Redis, keys: RedisKeys): Promise<LastChange> {
  const [counter, entry] = await Promise.all([
    runCommand(redis.get(keys.gateEpoch)),
    runCommand(redis.lindex(keys.gateLog, 0)),
  ]);
  const epochOfAll = epochOf(counter);
  return { epochOfAll, entry: entry?.startsWith(`${epochOfAll} `) ? entry : undefined };
}

/**
 * Returns the counter, the newest entry of the page, and the id and text of each changed gate. Returns nothing if the log lacks
 * the entry after which to read, or changes after it.
 */
const READ = script({
  name: 'read_gate_log',
  keys: ['gates', 'gateEpoch', 'gateLog'],
  args: ['after', 'epoch', 'count'],
  lua: `
    local counter = redis.call('GET', gateEpoch) or ''
    local head = redis.call('LINDEX', gateLog, 0) or ''
    if string.match(head, '^(%d+) ') ~= counter then return {} end
    local at = tonumber(counter) - tonumber(epoch)
    if at < 1 then return {} end
    local page = redis.call('LRANGE', gateLog, math.max(0, at - count), at)
    if page[#page] ~= after then return {} end
    local result = { counter, page[1] }
    local seen = {}
    for index = #page - 1, 1, -1 do
      local id = string.match(page[index], '^%d+ (.*) %x+$')
      if not seen[id] then
        seen[id] = true
        result[#result + 1] = id
        result[#result + 1] = redis.call('HGET', gates, id) or ''
      end
    end
    return result`,
});

/** Gates that changed, as they were at `epochOfAll`; `NO_GATE` for one that was removed. The entry is the last that was read. */
export interface Changes {
  readonly epochOfAll: number;
  readonly last: { readonly epochOfAll: number; readonly entry: string };
  readonly gates: ReadonlyMap<string, Gate>;
}

/** One page of the changes after an entry; undefined if the log does not have them. @throws SealdexError `REDIS_FAILED` */
export async function readChanges(redis: Redis, keys: RedisKeys, after: LastChange): Promise<Changes | undefined> {
  const { gates, gateEpoch, gateLog } = keys;
  const { entry = '', epochOfAll: epoch } = after;
  const result = await runScript(redis, READ, { gates, gateEpoch, gateLog, after: entry, epoch, count: PAGE });
  const [counter, newest, ...flat] = result as string[];
  if (counter === undefined || newest === undefined) return undefined;
  const epochOfAll = epochOf(counter);
  const changed = new Map<string, Gate>();
  for (let at = 0; at < flat.length; at += 2) changed.set(flat[at]!, unlessForged(parseGate(flat[at + 1]), epochOfAll));
  return { epochOfAll, last: { epochOfAll: Number.parseInt(newest, 10), entry: newest }, gates: changed };
}
