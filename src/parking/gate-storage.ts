// Gates in Redis: reads them, and replaces or removes one if its epoch is still the expected one.
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { NO_GATE, parseGate, type Gate, type GateRecord } from './gate-record.ts';

/** Maximum epoch of a gate and of the counter: exact in JavaScript, Lua and Redis. */
const LAST_EPOCH = 999_999_999_999_999;

/** A gate with an epoch above the counter was not written by sealdex. It counts as none: every change of it would seem old. */
const unlessForged = (gate: Gate, epochOfAll: number): Gate => (gate.epoch > epochOfAll ? NO_GATE : gate);

/**
 * Replaces a gate if its epoch is still the one that the change was decided on, and removes it if the new text is empty.
 * Returns { done, epoch of all gates, text of the gate }. The message on the channel has the new epoch of all and the gate, so
 * that a subscriber need not read it. A counter that sealdex did not write is restarted.
 */
const REPLACE = script({
  name: 'replace_gate',
  keys: ['gates', 'gateEpoch'],
  args: ['id', 'seenEpoch', 'record', 'channel'],
  lua: `
    local counter = redis.call('GET', gateEpoch) or '0'
    local last = string.match(counter, '^%d+$') and #counter <= 15 and tonumber(counter) or 0
    local current = redis.call('HGET', gates, id) or ''
    local epoch = tonumber(string.match(current, '^(%d+) ') or '0')
    if epoch > last then epoch = 0 end
    if epoch ~= tonumber(seenEpoch) then return { 0, string.format('%.0f', last), current } end
    local now = string.format('%.0f', last < ${LAST_EPOCH} and last + 1 or 1)
    redis.call('SET', gateEpoch, now)
    if record == '' then
      redis.call('HDEL', gates, id)
      return { 1, now, '' }
    end
    local text = now .. ' ' .. record
    redis.call('HSET', gates, id, text)
    if channel ~= '' then redis.call('PUBLISH', channel, now .. ' ' .. id .. ' ' .. text) end
    return { 1, now, text }`,
});

/** New state of a gate: a record, or undefined to remove it; and whether the change is published. */
export interface Replacement {
  readonly record: GateRecord | undefined;
  readonly isPublished: boolean;
}

/** `gate` is the one that Redis has afterwards, whether or not it was replaced. */
export interface Replaced {
  readonly isDone: boolean;
  readonly epochOfAll: number;
  readonly gate: Gate;
}

/** @throws SealdexError `REDIS_FAILED` */
export async function replaceGate(
  redis: Redis,
  keys: RedisKeys,
  id: string,
  seenEpoch: number,
  { record, isPublished }: Replacement,
): Promise<Replaced> {
  const result = await runScript(redis, REPLACE, {
    gates: keys.gates,
    gateEpoch: keys.gateEpoch,
    id,
    seenEpoch,
    record: record === undefined ? '' : JSON.stringify(record),
    channel: isPublished ? keys.gateChanged : '',
  });
  const [done, epochOfAll, after] = result as [number, string, string];
  const last = Number(epochOfAll);
  return { isDone: done === 1, epochOfAll: last, gate: unlessForged(parseGate(after), last) };
}

export async function readGate(redis: Redis, keys: RedisKeys, id: string): Promise<Gate> {
  // In this order: the counter has reached the epoch of any gate that was read before.
  const gate = parseGate(await runCommand(redis.hget(keys.gates, id)));
  return gate.epoch === 0 ? gate : unlessForged(gate, await readEpoch(redis, keys));
}

/** All gates with a record, and their epoch. */
export async function readGates(
  redis: Redis,
  keys: RedisKeys,
): Promise<{ epochOfAll: number; gates: Map<string, Gate> }> {
  // In this order: a change in between is read again, never missed.
  const epochOfAll = await readEpoch(redis, keys);
  const texts = await runCommand(redis.hgetall(keys.gates));
  const reached = await readEpoch(redis, keys);
  const gates = new Map<string, Gate>();
  for (const [id, text] of Object.entries(texts)) {
    const gate = unlessForged(parseGate(text), reached);
    if (gate.epoch > 0) gates.set(id, gate);
  }
  return { epochOfAll, gates };
}

/** 0 for a counter that sealdex did not write, as for none. */
export async function readEpoch(redis: Redis, keys: RedisKeys): Promise<number> {
  const text = await runCommand(redis.get(keys.gateEpoch));
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : 0;
}

/** A message on the channel: `<epoch of all> <gate id> <gate>`. */
export function parseChange(message: string): { epochOfAll: number; id: string; gate: Gate } | undefined {
  const found = /^(\d{1,15}) (\S+) (.*)$/s.exec(message);
  if (!found) return undefined;
  const epochOfAll = Number(found[1]);
  return { epochOfAll, id: found[2] ?? '', gate: unlessForged(parseGate(found[3]), epochOfAll) };
}
