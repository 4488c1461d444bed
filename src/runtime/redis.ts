// Redis: how we connect, every key name of ours, and the one way in which a command fails.
// BullMQ's own keys live under the same prefix; only src/queue touches those.
import { Redis } from 'ioredis';
import { MAX_SKEW_MS, systemClock, withDeadline, type WaitMode, type Clock } from './clock.ts';
import type { Config } from './config.ts';
import { deadlines } from './deadlines.ts';
import { SealdexError } from './errors.ts';
import { QUEUE_NAMES, type QueueName } from './names.ts';
import { redisFault } from './redis-errors.ts';
import { explainOutages } from './redis-outage.ts';

export type { Redis };

/** Every key of ours. The braces keep one installation queue in one Cluster slot. */
export function redisKeys(queue: string) {
  const root = `sealdex:{${queue}}`;
  return {
    /** BullMQ's prefix: its keys are `<prefix>:<queue name>:...`. */
    prefix: root,
    /** The wrapped data key that the fleet shares. */
    dataKey: (purpose: string, tenant: string, period: string, arnHash: string) =>
      `${root}:keys:${purpose}:${tenant}:${period}:${arnHash}`,
    /** Who makes that data key right now. */
    dataKeyClaim: (dataKey: string) => `${dataKey}:claim`,
    /** The last revision that was given out. */
    revision: `${root}:stamp:revision`,
    /** What an idempotency key led to. */
    marker: (jobId: string) => `${root}:markers:${jobId}`,
    /** What became of a job: how it ended, or why it waits. */
    note: (jobId: string) => `${root}:notes:${jobId}`,
    /** How far the move of a tenant's objects to its current KMS key has come. */
    reencryption: (tenant: string) => `${root}:reencryption:${tenant}`,
    /** Channel that names a tenant whose file has changed. */
    tenantChanged: `${root}:tenants:changed`,
    /** The gates that are not open, or were opened lately: gate id -> epoch and record. */
    gates: `${root}:parking:gates`,
    /** Rises with every change of a gate. */
    gateEpoch: `${root}:parking:epoch`,
    /** Channel on which changed gates are told. */
    gateChanged: `${root}:parking:changed`,
    /** Gates that were denied lately, by time. */
    denials: `${root}:parking:denials`,
    /** Who of the fleet does something that one alone may do. */
    lease: (name: string) => `${root}:leases:${name}`,
    /** How many jobs each tenant has in all queues, and their bytes. */
    backlogJobs: `${root}:backlog:jobs`,
    backlogBytes: `${root}:backlog:bytes`,
    /** When this Redis was first used; its copy in S3 tells whether it is still the same one. */
    birth: `${root}:birth`,
    /** When each chore of the fleet is due. */
    chores: `${root}:upkeep:chores`,
    /** How far a sweep has come, and what it has found. */
    sweep: (name: string) => `${root}:sweeps:${name}`,
    /** Depths that one process counts for all. */
    depths: `${root}:depths`,
    /** A process's heartbeat, and the set of all processes by the time of their last one. */
    heartbeat: (processId: string) => `${root}:processes:${processId}`,
    heartbeats: `${root}:processes`,
    /** Written and removed again by who looks whether that works. */
    trial: (random: string) => `${root}:doctor:${random}`,
  };
}

export type RedisKeys = ReturnType<typeof redisKeys>;

/** Names of all keys that name a tenant, `*` standing for what else is in them. Values that name one are their rooms' business. */
export function keysNaming(queue: string, tenant: string): string[] {
  const keys = redisKeys(queue);
  const gate = `${tenant}:*`;
  return [
    keys.dataKey('documents', tenant, '*', '*'),
    keys.dataKey('intake', tenant, '*', '*'),
    keys.lease(`gate:${gate}`),
    keys.lease(`revocation-check:${gate}`),
    keys.reencryption(tenant),
    ...QUEUE_NAMES.map((name) => queueKeys(keys, name)).flatMap((own) => [own.parked(gate), own.letters(tenant, '*')]),
  ];
}

/** The same with the keys that each of BullMQ's queues has for itself. Those of `index` have the names from when it was the only one. */
export function queueKeys(keys: RedisKeys, queueName: QueueName) {
  const root = keys.prefix;
  const suffix = queueName === 'index' ? '' : `-${queueName}`;
  return {
    ...keys,
    queueName,
    /** The jobs that are parked at a gate, by the time since when. */
    parked: (gate: string) => `${root}:parking:jobs${suffix}:${gate}`,
    /** Virtual time, each tenant's place in it, and the lease of who keeps it. */
    fairClock: `${root}:fair${suffix}:clock`,
    fairTenants: `${root}:fair${suffix}:tenants`,
    fairLease: keys.lease(`fair-share${suffix}`),
    /** Dead letters of one tenant with one code by time, and which such lists there are. */
    letters: (tenant: string, code: string) => `${root}:letters${suffix}:${tenant}:${code}`,
    letterLists: `${root}:letters${suffix}`,
  };
}

export type QueueKeys = ReturnType<typeof queueKeys>;

/**
 * `queue`: BullMQ's in a worker, waits for Redis to come back however long. `patient`: a worker's own commands.
 * `prompt`: a producer's, reader's or operator's commands, fail within a second. `subscriber`: listens on channels only.
 */
export type RedisUse = WaitMode | 'queue' | 'subscriber';

/** What a connection may be silent for, beyond the deadline of the command that waits. */
const SILENCE_MS = { prompt: 1100, patient: 2000 };

const isOfSelect = (error: unknown): error is Error =>
  error instanceof Error && (error as { command?: { name?: string } }).command?.name === 'select';

/** Opens a connection. @throws SealdexError `REDIS_FAILED` when Redis does not answer in time. */
export async function openRedis(config: Pick<Config, 'redisUrl'>, use: RedisUse): Promise<Redis> {
  const [deadlineMs, silenceMs] =
    use === 'prompt' ? [deadlines.promptMs, SILENCE_MS.prompt] : [deadlines.redisMs, SILENCE_MS.patient];
  const redis = new Redis(config.redisUrl, {
    lazyConnect: true,
    connectTimeout: deadlineMs,
    // A connection that fell silent (a frozen primary, a balancer that forgot it) is replaced, instead of being asked for
    // ever. Counts only while a command waits; BullMQ's blocking one waits at most 10 s.
    socketTimeout: deadlineMs + silenceMs,
    // What an ended connection waits for the other side to end it too: the process lives that long.
    disconnectTimeout: 200,
    // A replica that was the primary until now answers READONLY: reconnect and send the command again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    retryStrategy: (times) => Math.min(times * 50, 1000),
    ...(use === 'prompt'
      ? { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: deadlineMs }
      : { maxRetriesPerRequest: null, ...(use === 'patient' ? { commandTimeout: deadlineMs } : {}) }),
  });
  const outageReply = explainOutages(redis);
  // Without a listener ioredis prints every failed reconnection; what waits for an answer gets its own error.
  let last: unknown;
  redis.on('error', (error) => {
    // What follows a refused SELECT is its consequence.
    if (!isOfSelect(last)) last = error;
    // ioredis continues in database 0 after a refused SELECT: two installations would become one.
    if (isOfSelect(error)) redis.disconnect(true);
  });
  if (use !== 'subscriber') redis.on('connect', () => gatherWrites(redis.stream));
  const late = (): Error => new SealdexError('REDIS_FAILED', undefined, { reason: 'TimeoutError' });
  try {
    await withDeadline(systemClock, deadlineMs, redis.connect(), late);
  } catch (error) {
    const reply = outageReply();
    redis.disconnect();
    if (isOfSelect(last) && last.message.startsWith('ERR')) throw databaseRejected(redis, last);
    // ioredis reports only that there is no connection; the cause came with an event before.
    const hasCause = error instanceof Error && error.message === 'Connection is closed.';
    throw redisFault(reply ?? (hasCause ? (last ?? error) : error));
  }
  return redis;
}

function databaseRejected({ options }: Redis, cause: Error): SealdexError {
  const rule = 'Use a database that the server has; a Redis Cluster has only 0';
  const message = `REDIS_URL: Redis rejected database ${options.db}: ${cause.message}. ${rule}.`;
  return new SealdexError('CONFIG_INVALID', message, { field: 'REDIS_URL', cause });
}

/**
 * Sends the commands of one turn in one write. Each write is a system call and wakes Redis: of a job that is parked they
 * were a third of the work, for both (bench/parking.ts). ioredis' own pipelining costs as much as it saves.
 */
function gatherWrites(stream: Redis['stream']): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  let isCorked = false;
  stream.write = (...args: unknown[]): boolean => {
    if (!isCorked) {
      isCorked = true;
      stream.cork();
      process.nextTick(() => {
        isCorked = false;
        stream.uncork();
      });
    }
    return write(...args);
  };
}

/** Ends a connection at once; what was sent has been answered before by whoever waited for it. */
export function closeRedis(redis: Redis): void {
  redis.disconnect();
}

/** The command's answer, or `REDIS_FAILED`. */
export async function runCommand<T>(command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    throw redisFault(error);
  }
}

const MIN_VERSION = [6, 2];

/** `6.2` or later. */
export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > MIN_VERSION[0]! || (major === MIN_VERSION[0] && minor >= MIN_VERSION[1]!);
}

/** A field of the response to INFO. */
export function infoField(info: string | undefined, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info ?? '')?.[1];
}

/** For who writes a time down that other processes compare with theirs. @throws SealdexError `CLOCK_SKEW` */
export async function checkClock(redis: Redis, clock: Clock): Promise<void> {
  const [seconds] = await runCommand(redis.time());
  if (Math.abs(Number(seconds) * 1000 - clock.now()) > MAX_SKEW_MS) throw new SealdexError('CLOCK_SKEW');
}

/**
 * Reads what INFO tells of the server (CONFIG is refused by managed ones). Answers warnings.
 * @throws SealdexError `CONFIG_INVALID` when Redis is too old or may evict keys: that would lose jobs;
 * `CLOCK_SKEW` when its clock and ours are more than 60 s apart
 */
export async function checkRedis(redis: Redis): Promise<string[]> {
  const [server, memory, persistence] = await Promise.all(
    ['server', 'memory', 'persistence'].map((section) => runCommand(redis.info(section))),
  );
  await checkClock(redis, systemClock);
  const version = infoField(server, 'redis_version') ?? '0';
  if (!isNewEnough(version))
    throw new SealdexError(
      'CONFIG_INVALID',
      `REDIS_URL: Redis ${version} is too old. Use Redis 6.2 or later, or Valkey.`,
    );
  const policy = infoField(memory, 'maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    throw new SealdexError(
      'CONFIG_INVALID',
      `REDIS_URL: maxmemory-policy is ${policy}, which can evict jobs. Set it to noeviction.`,
    );
  }
  return infoField(persistence, 'aof_enabled') === '0'
    ? ['Redis persistence (AOF) is off: queued jobs are lost if Redis restarts. Set appendonly yes.']
    : [];
}
