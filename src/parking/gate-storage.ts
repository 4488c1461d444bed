// Gates in Redis: reads them, and replaces or removes one if its epoch is still the expected one.
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { APPEND, entryOf, readLastChange, type LastChange } from './gate-log.ts';
import { parseGate, unlessForged, type Gate, type GateRecord } from './gate-record.ts';

/** Maximum epoch of a gate and of the counter: exact in JavaScript, Lua and Redis. */
const LAST_EPOCH = 999_999_999_999_999;

/** Gates in one response: all other clients wait while Redis makes it. */
const PAGE = 500;

/**
 * Replaces a gate if its epoch is still the one that the change was decided on, and removes it if the new text is empty.
 * Returns { done, epoch of all gates, text of the gate }. The message on the channel has the new epoch of all and the gate, so
 * that a subscriber need not read it; a removed gate is empty. A counter that sealdex did not write is restarted.
 */
const REPLACE = script({
  name: 'replace_gate',
  keys: ['gates', 'gateEpoch', 'gateLog'],
  args: ['id', 'seenEpoch', 'record', 'channel'],
  lua: `${APPEND}
    local counter = redis.call('GET', gateEpoch) or '0'
    local last = string.match(counter, '^%d+$') and #counter <= 15 and tonumber(counter) or 0
    local current = redis.call('HGET', gates, id) or ''
    local epoch = tonumber(string.match(current, '^(%d+) ') or '0')
    if epoch > last then epoch = 0 end
    if epoch ~= tonumber(seenEpoch) then return { 0, string.format('%.0f', last), current } end
    local now = string.format('%.0f', last < ${LAST_EPOCH} and last + 1 or 1)
    redis.call('SET', gateEpoch, now)
    local text = record == '' and '' or now .. ' ' .. record
    if record == '' then redis.call('HDEL', gates, id) else redis.call('HSET', gates, id, text) end
    append_change(gateLog, last, now, id, text)
    if channel ~= '' then redis.call('PUBLISH', channel, now .. ' ' .. id .. ' ' .. text) end
    return { 1, now, text }`,
});

/** New state of a gate: a record, or undefined to remove it; and whether the change is published. */
export interface Replacement {
  readonly record: GateRecord | undefined;
  readonly isPublished: boolean;
}

/** A gate as Redis had it at an epoch. */
export interface GateAt {
  readonly epochOfAll: number;
  readonly id: string;
  readonly gate: Gate;
  /** Entry of the log, if the change with that epoch is one of this gate. */
  readonly entry: string | undefined;
}

/** The gate afterwards, whether or not it was replaced. */
export interface Replaced extends GateAt {
  readonly isDone: boolean;
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
    gateLog: keys.gateLog,
    id,
    seenEpoch,
    record: record === undefined ? '' : JSON.stringify(record),
    channel: isPublished ? keys.gateChanged : '',
  });
  const [done, epochOfAll, after] = result as [number, string, string];
  const isDone = done === 1;
  return { isDone, ...gateAt(Number(epochOfAll), id, after, isDone) };
}

/** `isOfChange`: a missing gate was removed by the change with this epoch. */
function gateAt(epochOfAll: number, id: string, text: string, isOfChange: boolean): GateAt {
  const gate = unlessForged(parseGate(text), epochOfAll);
  const isLast = text === '' ? isOfChange : gate.epoch === epochOfAll;
  return { epochOfAll, id, gate, entry: isLast ? entryOf(epochOfAll, id, text) : undefined };
}

export async function readGate(redis: Redis, keys: RedisKeys, id: string): Promise<Gate> {
  // In this order: the counter has reached the epoch of any gate that was read before.
  const gate = parseGate(await runCommand(redis.hget(keys.gates, id)));
  return gate.epoch === 0 ? gate : unlessForged(gate, (await readLastChange(redis, keys)).epochOfAll);
}

/** All gates with a record, in pages, and the last change before. */
export async function readGates(
  redis: Redis,
  keys: RedisKeys,
): Promise<{ last: LastChange; gates: ReadonlyMap<string, Gate> }> {
  // In this order: a change in between is read again, never missed.
  const last = await readLastChange(redis, keys);
  const read = new Map<string, Gate>();
  let cursor = '0';
  do {
    const [next, flat] = await runCommand(redis.hscan(keys.gates, cursor, 'COUNT', PAGE));
    for (let at = 0; at < flat.length; at += 2) read.set(flat[at]!, parseGate(flat[at + 1]));
    cursor = next;
  } while (cursor !== '0');
  const { epochOfAll } = await readLastChange(redis, keys);
  const gates = [...read].filter(([, gate]) => unlessForged(gate, epochOfAll).epoch > 0);
  return { last, gates: new Map(gates) };
}

/** A message on the channel: `<epoch of all> <gate id> <gate>`; a removed gate is empty. Undefined for another text. */
export function parseChange(message: string): GateAt | undefined {
  const [, epochOfAll, id = '', text = ''] = /^(\d{1,15}) (\S+) (.*)$/s.exec(message) ?? [];
  const change = gateAt(Number(epochOfAll ?? 0), id, text, true);
  return change.entry === undefined || epochOfAll === undefined ? undefined : change;
}
