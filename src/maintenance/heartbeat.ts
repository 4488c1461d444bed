// Heartbeats: every process writes its state to Redis every 2 s, numbers and tenant names only; an entry expires after 10 s.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { repeat, systemClock, withDeadline, type Clock } from '../runtime/clock.ts';
import { NAME } from '../runtime/names.ts';
import { runCommand, redisKeys, type Redis } from '../runtime/redis.ts';

const ROLES = ['worker', 'producer', 'reader'] as const;
/** What a process does. */
export type Role = (typeof ROLES)[number];

export interface HeartbeatFacts {
  /** Plaintext data keys in memory. */
  readonly keys: number;
  /** Age of the oldest of these keys, in milliseconds. */
  readonly oldestKeyMs: number;
  /** Time since KMS last allowed the use of a KMS key, for the key in use that was verified least recently, in milliseconds. */
  readonly lastVerifiedAgeMs: number;
  /** Lines that could not be written to the audit log since the process started. */
  readonly auditFailures: number;
  /** KMS calls by operation since the process started. */
  readonly kmsCalls: Readonly<Record<string, number>>;
  /** Names of tenants with a data key in memory; at most 1,000. */
  readonly tenants: readonly string[];
  /** For a worker: whether it takes upload jobs. Older workers do not report it. */
  readonly takesUploads?: boolean | undefined;
  /** Version of sealdex. Older processes do not report it. */
  readonly version?: string | undefined;
}

/** A running process, as it last reported itself. */
export interface Heartbeat extends HeartbeatFacts {
  /** Random id of the process. */
  readonly process: string;
  /** What the process does. */
  readonly role: Role;
  /** Process id on its host. */
  readonly pid: number;
  /** Start of the process: Unix time in milliseconds. */
  readonly started: number;
}

export interface HeartbeatLoop {
  tick(): Promise<void>;
  /** Takes the process off the list. May be called twice. */
  stop(): Promise<void>;
}

const EVERY_MS = 2000;
const LIFE_MS = 10_000;
const FORGET_MS = 400;
const MAX_TENANTS = 1000;
const MAX_PROCESSES = 1000;

export interface HeartDeps {
  readonly redis: Redis;
  readonly queue: string;
  readonly clock: Clock;
  readonly role: Role;
  readonly facts: () => Promise<HeartbeatFacts>;
}

export function startHeartbeat(deps: HeartDeps): HeartbeatLoop {
  const { redis, clock } = deps;
  const keys = redisKeys(deps.queue);
  const process_ = randomBytes(8).toString('hex');
  const started = clock.now();
  let isStopped = false;

  const tick = async (): Promise<void> => {
    const now = await deps.facts();
    if (isStopped) return;
    const tenants = now.tenants.slice(0, MAX_TENANTS);
    const heartbeatNow: Heartbeat = { process: process_, role: deps.role, pid: process.pid, started, ...now, tenants };
    const write = redis
      .multi()
      .set(keys.heartbeat(process_), JSON.stringify(heartbeatNow), 'PX', LIFE_MS)
      .zadd(keys.heartbeats, clock.now(), process_)
      .zremrangebyscore(keys.heartbeats, '-inf', String(clock.now() - LIFE_MS))
      .pexpire(keys.heartbeats, LIFE_MS)
      .exec();
    await runCommand(write);
  };

  // If the write fails, the process is not listed until the next heartbeat.
  tick().catch(() => {});
  const loop = repeat(clock, EVERY_MS, tick);

  const forget = async (): Promise<void> => {
    // One connection keeps the order, so a heartbeat that was sent before is written before.
    await redis.multi().del(keys.heartbeat(process_)).zrem(keys.heartbeats, process_).exec();
  };

  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    isStopped = true;
    // Does not wait for a running heartbeat.
    void loop.stop();
    // An unresponsive Redis must not delay the stop; the entry expires.
    await withDeadline(systemClock, FORGET_MS, forget(), () => new Error('late')).catch(() => {});
  };
  return { tick, stop: () => (stopping ??= stop()) };
}

/** The running processes, oldest first; at most 1,000. */
export async function readHeartbeats(redis: Redis, queue: string): Promise<Heartbeat[]> {
  const keys = redisKeys(queue);
  const names = await runCommand(redis.zrange(keys.heartbeats, '0', String(MAX_PROCESSES - 1)));
  if (names.length === 0) return [];
  const texts = await runCommand(redis.mget(names.map((name) => keys.heartbeat(name))));
  return texts.flatMap(parseHeartbeat).sort((a, b) => a.started - b.started);
}

/** The latest time that a Date can hold. */
const LAST_DATE_MS = 8.64e15;

const heartbeat: z.ZodType<Heartbeat> = z.object({
  process: z.string().regex(/^[0-9a-f]{16}$/),
  role: z.enum(ROLES),
  pid: z.int().positive(),
  started: z.number().nonnegative().max(LAST_DATE_MS),
  keys: z.int().nonnegative(),
  oldestKeyMs: z.number().nonnegative().transform(Math.round),
  // Older processes do not report it.
  lastVerifiedAgeMs: z.number().nonnegative().default(0).transform(Math.round),
  auditFailures: z.int().nonnegative().default(0),
  kmsCalls: z.record(z.string().regex(/^[A-Za-z]{1,64}$/), z.int().nonnegative()),
  tenants: z.array(z.string().regex(NAME)).max(MAX_TENANTS),
  takesUploads: z.boolean().optional(),
  version: z
    .string()
    .regex(/^[0-9A-Za-z.+-]{1,40}$/)
    .optional(),
});

/** Data in Redis is not trusted: an invalid heartbeat would break the sums and the output. */
function parseHeartbeat(text: string | null): Heartbeat[] {
  try {
    const parsed = heartbeat.safeParse(JSON.parse(text ?? 'null'));
    return parsed.success ? [parsed.data] : [];
  } catch {
    return [];
  }
}
