// A gate as it stands in Redis: may jobs of this tenant under this KMS key proceed. Its record, and the one script that
// changes it. Who changes it and why is not known here.
import { z } from 'zod';
import { isCode, type Code } from '../runtime/errors.ts';
import { gateId, NAME } from '../runtime/names.ts';
import { ask, run, type Redis, type RedisKeys, type Script } from '../runtime/redis.ts';

export const GATE_STATES = ['open', 'shut', 'draining', 'destroyed'] as const;

/**
 * `open`: jobs proceed. `shut`: they are parked. `draining`: they proceed, and the parked ones are being released.
 * `destroyed`: the KMS key is gone for good; the parked ones are released, and each job ends as a dead letter.
 */
export type GateState = (typeof GATE_STATES)[number];

export interface GateRecord {
  readonly tenant: string;
  readonly keyArn: string;
  readonly state: GateState;
  /** Why it was shut; stays while it drains. */
  readonly code: Code;
  /** Wall clock, milliseconds: since when it is shut; of an open one, since when it is open. */
  readonly since: number;
  /** Since when the code is this one. */
  readonly codeSince: number;
  /** What KMS called it, and the AWS request that it said it to. */
  readonly reason?: string;
  readonly requestId?: string;
  /** Of a denial: whose policy it is that denies, as far as KMS told. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** When KMS will delete the key, where it told. */
  readonly deletesAt?: number;
  /** What the operator said when shutting it. */
  readonly note?: string;
  /** Whether it was the tenant's current KMS key when the gate was shut. */
  readonly wasCurrent: boolean;
  /** Tries so far, and how many good ones in a row; when the next one is due. */
  readonly probes: number;
  readonly goodProbes: number;
  readonly nextProbe: number;
}

/** A record with the epoch of its last change; epoch 0: there has never been one. */
export interface Gate {
  readonly epoch: number;
  readonly record?: GateRecord;
}

export const NO_GATE: Gate = Object.freeze({ epoch: 0 });

/** No new work under the key. */
export const isClosed = ({ record }: Gate): boolean => record?.state === 'shut' || record?.state === 'destroyed';

const gateRecord = z.object({
  tenant: z.string().regex(NAME),
  keyArn: z.string().max(300),
  state: z.enum(GATE_STATES),
  code: z.string().refine(isCode),
  since: z.number(),
  codeSince: z.number(),
  deniedBy: z.enum(['operator', 'tenant']).optional(),
  reason: z.string().max(100).optional(),
  requestId: z.string().max(100).optional(),
  deletesAt: z.number().optional(),
  note: z.string().max(300).optional(),
  wasCurrent: z.boolean(),
  probes: z.int().nonnegative(),
  goodProbes: z.int().nonnegative(),
  nextProbe: z.number(),
});

/** Of a gate and of the counter: as many digits as are exact in JavaScript, in Lua and in Redis. */
const LAST_EPOCH = 999_999_999_999_999;

/** `<epoch> <record as JSON>`. What cannot be read counts as no gate: then KMS decides. */
export function parseGate(text: string | null | undefined): Gate {
  const found = /^(\d{1,15}) (.*)$/s.exec(text ?? '');
  if (!found) return NO_GATE;
  const parsed = gateRecord.safeParse(parseJson(found[2] ?? ''));
  return { epoch: Number(found[1]), ...(parsed.success ? { record: parsed.data as GateRecord } : {}) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An epoch that the counter has not reached was written past us: its gate is none, else every change of it were old news. */
const unlessForged = (gate: Gate, epochOfAll: number): Gate => (gate.epoch > epochOfAll ? NO_GATE : gate);

/**
 * Changes a gate if its epoch is still the one that the change was decided on. Answers { done, epoch of all, text of the
 * gate as it stands }. What is told on the channel is the new epoch of all and the gate, so that who listens need not ask.
 * A counter that is none of ours begins again.
 */
const CHANGE: Script = {
  name: 'change_gate',
  keys: 2,
  lua: `
    local counter = redis.call('GET', KEYS[2]) or '0'
    local last = string.match(counter, '^%d+$') and #counter <= 15 and tonumber(counter) or 0
    local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
    local epoch = tonumber(string.match(current, '^(%d+) ') or '0')
    if epoch > last then epoch = 0 end
    if epoch ~= tonumber(ARGV[2]) then return { 0, string.format('%.0f', last), current } end
    local now = string.format('%.0f', last < ${LAST_EPOCH} and last + 1 or 1)
    redis.call('SET', KEYS[2], now)
    local text = now .. ' ' .. ARGV[3]
    redis.call('HSET', KEYS[1], ARGV[1], text)
    redis.call('PUBLISH', ARGV[4], now .. ' ' .. ARGV[1] .. ' ' .. text)
    return { 1, now, text }`,
};

/** Answers whether it was changed, and the gate as it stands now. */
export async function changeGate(
  redis: Redis,
  keys: RedisKeys,
  seenEpoch: number,
  record: GateRecord,
): Promise<{ changed: boolean; epochOfAll: number; gate: Gate }> {
  const id = gateId(record.tenant, record.keyArn);
  const answer = await run(redis, CHANGE, [
    keys.gates,
    keys.gateEpoch,
    id,
    String(seenEpoch),
    JSON.stringify(record),
    keys.gateChanged,
  ]);
  const [done, epochOfAll, text] = answer as [number, string, string];
  const last = Number(epochOfAll);
  return { changed: done === 1, epochOfAll: last, gate: unlessForged(parseGate(text), last) };
}

export async function readGate(redis: Redis, keys: RedisKeys, id: string): Promise<Gate> {
  // In this order: the counter has reached whatever stood in a gate before.
  const gate = parseGate(await ask(redis.hget(keys.gates, id)));
  return gate.epoch === 0 ? gate : unlessForged(gate, await readEpoch(redis, keys));
}

/** Takes the record of a gate away that has been open for long, if nothing has changed it meanwhile. Who looks forgets it too. */
const DROP: Script = {
  name: 'drop_gate',
  keys: 2,
  lua: `
    local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
    if string.match(current, '^(%d+) ') ~= ARGV[2] then return 0 end
    redis.call('INCR', KEYS[2])
    return redis.call('HDEL', KEYS[1], ARGV[1])`,
};

export async function dropGate(redis: Redis, keys: RedisKeys, id: string, seenEpoch: number): Promise<void> {
  await run(redis, DROP, [keys.gates, keys.gateEpoch, id, String(seenEpoch)]);
}

/** All gates with a record, and the epoch that they are of. */
export async function readGates(
  redis: Redis,
  keys: RedisKeys,
): Promise<{ epochOfAll: number; gates: Map<string, Gate> }> {
  // In this order: a change in between is read again, never missed.
  const epochOfAll = await readEpoch(redis, keys);
  const texts = await ask(redis.hgetall(keys.gates));
  const reached = await readEpoch(redis, keys);
  const gates = new Map<string, Gate>();
  for (const [id, text] of Object.entries(texts)) {
    const gate = unlessForged(parseGate(text), reached);
    if (gate.epoch > 0) gates.set(id, gate);
  }
  return { epochOfAll, gates };
}

/** 0 for what is none of ours, as for none. */
export async function readEpoch(redis: Redis, keys: RedisKeys): Promise<number> {
  const text = await ask(redis.get(keys.gateEpoch));
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : 0;
}

/** What the channel tells: `<epoch of all> <gate id> <gate>`. */
export function parseChange(message: string): { epochOfAll: number; id: string; gate: Gate } | undefined {
  const found = /^(\d{1,15}) (\S+) (.*)$/s.exec(message);
  if (!found) return undefined;
  const epochOfAll = Number(found[1]);
  return { epochOfAll, id: found[2] ?? '', gate: unlessForged(parseGate(found[3]), epochOfAll) };
}
