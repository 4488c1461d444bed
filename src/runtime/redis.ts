// Redis: connections, all key names of sealdex, and the errors of commands. BullMQ's own keys have the same prefix; only
// src/queue uses them.
import { Redis } from 'ioredis';
import { MAX_SKEW_MS, systemClock, withDeadline, type WaitMode, type Clock } from './clock.ts';
import type { Config } from './config.ts';
import { deadlines } from './deadlines.ts';
import { SealdexError } from './errors.ts';
import { QUEUE_NAMES, type QueueName } from './names.ts';
import { redisFault } from './redis-errors.ts';
import { explainOutages } from './redis-outage.ts';

export type { Redis };

/** All key names of sealdex. The braces keep an installation in one Cluster slot. */
export function redisKeys(queue: string) {
  const root = `sealdex:{${queue}}`;
  return {
    /** SEALDEX_QUEUE. */
    installation: queue,
    /** BullMQ's prefix: its keys are `<prefix>:<queue name>:...`. */
    prefix: root,
    /** The wrapped data key that the fleet shares. */
    dataKey: (purpose: string, tenant: string, period: string, arnHash: string) =>
      `${root}:keys:${purpose}:${tenant}:${period}:${arnHash}`,
    /** The process that is creating that data key. */
    dataKeyClaim: (dataKey: string) => `${dataKey}:claim`,
    /** The last revision that was assigned. */
    revision: `${root}:stamp:revision`,
    /** The idempotency record of an idempotency key. */
    marker: (jobId: string) => `${root}:markers:${jobId}`,
    /** Final status of a job, or the reason it is waiting. */
    note: (jobId: string) => `${root}:notes:${jobId}`,
    /** Progress of the re-encryption of a tenant's objects with its current KMS key. */
    reencryption: (tenant: string) => `${root}:reencryption:${tenant}`,
    /** Channel for the names of tenants whose file has changed. */
    tenantChanged: `${root}:tenants:changed`,
    /** Gates that are not open, or were opened recently: gate id -> epoch and record. */
    gates: `${root}:parking:gates`,
    /** Incremented by every change of a gate. */
    gateEpoch: `${root}:parking:epoch`,
    /** The last changes of gates, newest first. */
    gateLog: `${root}:parking:log`,
    /** Channel for changed gates. */
    gateChanged: `${root}:parking:changed`,
    /** Gates that were denied recently, by time. */
    denials: `${root}:parking:denials`,
    /** The process of the fleet that holds a lease. */
    lease: (name: string) => `${root}:leases:${name}`,
    /** Number of jobs of each tenant in all queues, and their bytes. */
    backlogJobs: `${root}:backlog:jobs`,
    backlogBytes: `${root}:backlog:bytes`,
    /** Number of these jobs with content under the platform key instead of the tenant's own key, and the bytes of that content. */
    platformJobs: `${root}:backlog:platform-jobs`,
    platformBytes: `${root}:backlog:platform-bytes`,
    /** Identity and first use of this Redis. A copy in S3 shows whether it was replaced. */
    birth: `${root}:birth`,
    /** Next due time of each maintenance task. */
    chores: `${root}:upkeep:chores`,
    /** Content of finished jobs that is still in S3, by the time at which it is due for removal. */
    intakeRemovals: `${root}:intake:removals`,
    /** Progress and findings of a sweep. */
    sweep: (name: string) => `${root}:sweeps:${name}`,
    /** Queue depths, counted by one process for all. */
    depths: `${root}:depths`,
    /** A process's heartbeat, and the set of all processes by the time of their last heartbeat. */
    heartbeat: (processId: string) => `${root}:processes:${processId}`,
    heartbeats: `${root}:processes`,
    /** Written and deleted by the doctor to test write access. */
    trial: (random: string) => `${root}:doctor:${random}`,
  };
}

export type RedisKeys = ReturnType<typeof redisKeys>;

/**
 * Returns the patterns of all keys whose names contain a tenant, with `*` for the other parts. Values that contain one belong to
 * their modules.
 */
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

/** Adds the keys of one BullMQ queue. Those of `index` have no suffix, since it was once the only queue. */
export function queueKeys(keys: RedisKeys, queueName: QueueName) {
  const root = keys.prefix;
  const suffix = queueName === 'index' ? '' : `-${queueName}`;
  return {
    ...keys,
    queueName,
    /** Jobs parked at a gate, by the start time of parking. */
    parked: (gate: string) => `${root}:parking:jobs${suffix}:${gate}`,
    /** Virtual time, each tenant's position in it, and the lease of its maintenance. */
    fairClock: `${root}:fair${suffix}:clock`,
    fairTenants: `${root}:fair${suffix}:tenants`,
    fairLease: keys.lease(`fair-share${suffix}`),
    /** Dead letters of one tenant and code by time, and the set of these lists. */
    letters: (tenant: string, code: string) => `${root}:letters${suffix}:${tenant}:${code}`,
    letterLists: `${root}:letters${suffix}`,
  };
}

export type QueueKeys = ReturnType<typeof queueKeys>;

/**
 * `queue`: BullMQ in a worker; waits for Redis without limit. `patient`: other commands of a worker.
 * `prompt`: commands of a producer, reader or operator; they fail within a second. `subscriber`: channels only.
 */
export type RedisUse = WaitMode | 'queue' | 'subscriber';

/** Maximum silence of a connection, in addition to the deadline of the waiting command. */
const SILENCE_MS = { prompt: 1100, patient: 2000 };

const isOfSelect = (error: unknown): error is Error =>
  error instanceof Error && (error as { command?: { name?: string } }).command?.name === 'select';

/** Opens a connection. @throws SealdexError `REDIS_FAILED` if Redis does not respond in time */
export async function openRedis(config: Pick<Config, 'redisUrl'>, use: RedisUse): Promise<Redis> {
  const [deadlineMs, silenceMs] =
    use === 'prompt' ? [deadlines.promptMs, SILENCE_MS.prompt] : [deadlines.redisMs, SILENCE_MS.patient];
  const redis = new Redis(config.redisUrl, {
    lazyConnect: true,
    connectTimeout: deadlineMs,
    // Replaces a connection that is silent (a frozen primary, or a load balancer that dropped it). Counts only while a command is
    // waiting; BullMQ's blocking command waits at most 10 s.
    socketTimeout: deadlineMs + silenceMs,
    // Maximum wait for the other side to close an ended connection. It keeps the process alive.
    disconnectTimeout: 200,
    // A former primary responds with READONLY after a failover: reconnect and send the command again.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    retryStrategy: (times) => Math.min(times * 50, 1000),
    ...(use === 'prompt'
      ? { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: deadlineMs }
      : { maxRetriesPerRequest: null, ...(use === 'patient' ? { commandTimeout: deadlineMs } : {}) }),
  });
  endOncePerConnection(redis);
  const outageReply = explainOutages(redis);
  // Without a listener, ioredis prints every failed reconnection. Waiting commands get their own error.
  let last: unknown;
  redis.on('error', (error) => {
    // Later errors are a consequence of the rejected SELECT.
    if (!isOfSelect(last)) last = error;
    // After a rejected SELECT, ioredis continues in database 0, which would merge two installations.
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
    // ioredis only reports a missing connection; an earlier event has the cause.
    const hasCause = error instanceof Error && error.message === 'Connection is closed.';
    throw redisFault(reply ?? (hasCause ? (last ?? error) : error));
  }
  return redis;
}

function databaseRejected({ options }: Redis, cause: Error): SealdexError {
  const rule = 'Use a database that the server has; a Redis Cluster has only 0';
  const message = `REDIS_URL: Redis rejected database ${options.db}: ${cause.message}. ${rule}.`;
  return new SealdexError('CONFIG_INVALID', message, { field: 'REDIS_URL', cause, reason: 'ERR' });
}

/**
 * ioredis ends a connection for each command that `reconnectOnError` selects, and adds a listener and a timer each time. The
 * commands in flight are rejected together: only the first one ends their connection.
 */
function endOncePerConnection(redis: Redis): void {
  const disconnect = redis.disconnect.bind(redis);
  let ended: Redis['stream'] | undefined;
  redis.disconnect = (reconnect = false): void => {
    if (reconnect && ended !== undefined && redis.stream === ended) return;
    ended = redis.stream;
    disconnect(reconnect);
  };
}

/**
 * Sends the commands of one event loop turn in one write. Each write is a system call and wakes Redis: for a parked job, writes
 * were a third of the work of both (bench/parking.ts). ioredis' own pipelining costs as much as it saves.
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

/** Closes a connection immediately. Callers must have awaited their commands. */
export function closeRedis(redis: Redis): void {
  redis.disconnect();
}

/** Returns the response to a command. @throws SealdexError `REDIS_FAILED` */
export async function runCommand<T>(command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    throw redisFault(error);
  }
}

const MIN_VERSION = [6, 2];

/** True for 6.2 and later. */
export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > MIN_VERSION[0]! || (major === MIN_VERSION[0] && minor >= MIN_VERSION[1]!);
}

/** A field of the response to INFO. */
export function infoField(info: string | undefined, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info ?? '')?.[1];
}

/** Required before writing a time that other processes compare with theirs. @throws SealdexError `CLOCK_SKEW` */
export async function checkClock(redis: Redis, clock: Clock): Promise<void> {
  const [seconds] = await runCommand(redis.time());
  if (Math.abs(Number(seconds) * 1000 - clock.now()) > MAX_SKEW_MS) throw new SealdexError('CLOCK_SKEW');
}

/**
 * Checks the server by INFO, since managed servers reject CONFIG. Returns warnings.
 * @throws SealdexError `CONFIG_INVALID` if Redis is too old or may evict keys, which would lose jobs; `CLOCK_SKEW` if its clock
 * differs from this host's by more than 60 s
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
