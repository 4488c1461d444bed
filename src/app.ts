// The composition root: opens producer, reader, operator and worker from settings, and releases in reverse order.
// The only place that knows how the rooms are tied together.
import { openGuard, type Guard } from './app/guard.ts';
import { createPlatform, type Platform } from './app/platform.ts';
import { systemClock, type Clock, type Patience } from './clock.ts';
import { loadConfig, type Config, type Settings } from './config.ts';
import { SealdexError } from './errors.ts';
import { createReadiness, startHealth, type WorkerReadiness } from './health.ts';
import { startHeart, type Role } from './heartbeat.ts';
import { removeContent } from './intake.ts';
import type { KeyRing } from './keys/key-ring.ts';
import { createKms } from './keys/kms.ts';
import { createLog, faultOf, silentLog, type Log } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createOperatorFrom, type Operator } from './operator.ts';
import { createProducerFrom, type Producer } from './producer.ts';
import { gateId } from './names.ts';
import { isClosed, type GateOwner } from './parking/gate.ts';
import { startProbe, type Probe } from './parking/probe.ts';
import { parseGate } from './parking/record.ts';
import { openQueue, type JobQueue } from './queue/queues.ts';
import { startWorker, type QueueWorker } from './queue/worker.ts';
import { createReaderFrom, type Reader } from './reader.ts';
import { checkRedis, closeRedis, openRedis, redisKeys, type Redis, type RedisUse } from './redis.ts';
import { createStore, type Store } from './store/s3.ts';
import { proveConditionalWrites } from './store/system.ts';
import { createTenants, type Tenant, type Tenants } from './tenants.ts';
import { markBirth } from './upkeep/birth.ts';
import { intakeSweep } from './upkeep/intake-sweep.ts';
import { tombstoneSweep } from './upkeep/tombstones.ts';
import { startUpkeep } from './upkeep/upkeep.ts';
import { ByteBudget } from './work/budget.ts';
import { createCanary } from './work/canary.ts';
import { createHandler } from './work/handle.ts';
import { TenantSlots } from './work/slots.ts';

export type { ListedDocument } from './reader.ts';
export type { Status } from './operator.ts';
export type { Discarded, Letter, LetterFilter, Replayed } from './operator/letters.ts';
export type { TenantFile } from './tenants.ts';
export type { Operator, Producer, Settings };

/** What was opened, released last in, first out; the first error is reported after all ran. */
class Releases {
  readonly #all: (() => void | Promise<void>)[] = [];
  #released: Promise<void> | undefined;

  add<T>(thing: T, release: (thing: T) => void | Promise<void>): T {
    this.#all.push(() => release(thing));
    return thing;
  }

  release(): Promise<void> {
    return (this.#released ??= this.#releaseAll());
  }

  async #releaseAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const release of this.#all.toReversed()) {
      try {
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

interface Rooms {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly redis: Redis;
  readonly store: Store;
  readonly guard: Guard;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
  readonly connect: (use: RedisUse) => Promise<Redis>;
}

/** Opens what every role needs; on a fault, what was opened so far is released. */
async function open<T>(
  settings: Settings | undefined,
  use: Patience,
  make: (rooms: Rooms, releases: Releases) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const config = loadConfig(settings);
  const releases = new Releases();
  try {
    const clock = systemClock;
    const metrics = createMetrics();
    const connect = async (as: RedisUse): Promise<Redis> => {
      signal?.throwIfAborted();
      return releases.add(await openRedis(config, as), closeRedis);
    };
    const redis = await connect(use);
    const subscriber = await connect('subscriber');
    const store = releases.add(createStore(config, use), (opened) => opened.close());
    const kms = releases.add(createKms(config, metrics, use), (opened) => opened.close());
    const tenants = releases.add(await createTenants({ config, clock, store, redis, subscriber }), (opened) =>
      opened.close(),
    );
    const guard = releases.add(
      await openGuard({ config, clock, metrics, redis, subscriber, kms, tenants, use }),
      (opened) => opened.stop(),
    );
    signal?.throwIfAborted();
    const { ring } = guard;
    return await make({ config, clock, metrics, redis, store, guard, ring, tenants, connect }, releases);
  } catch (error) {
    await releases.release().catch(() => {});
    throw error;
  }
}

function beat({ redis, config, clock, ring, metrics }: Rooms, releases: Releases, role: Role): void {
  const facts = async () => {
    const { keys, oldestMs, tenants } = ring.stats();
    return { keys, oldestKeyMs: oldestMs, tenants, kmsCalls: await metrics.by('sealdex_kms_calls_total', 'operation') };
  };
  releases.add(startHeart({ redis, queue: config.queue, clock, role, facts }), (heart) => heart.stop());
}

/**
 * Opens a producer. Settings go over the environment.
 * @throws SealdexError `CONFIG_INVALID` with all faults, `REDIS_FAILED` within a second
 */
export function createProducer(settings?: Settings): Promise<Producer> {
  return open(settings, 'prompt', async (rooms, releases) => {
    const { config, clock, redis, store, guard, ring, tenants } = rooms;
    await checkRedis(redis);
    const queue = releases.add(openQueue(config, redis, clock), (opened) => opened.close());
    beat(rooms, releases, 'producer');
    const { inlineBytes, platformKeyArn } = config;
    const intake = {
      store,
      ring,
      inlineBytes,
      platformKeyArn,
      refusal: (owner: GateOwner) => guard.gates.refusal(owner),
    };
    const producer = createProducerFrom({ config, clock, queue, tenants, intake });
    return { ...producer, [Symbol.asyncDispose]: () => releases.release() };
  });
}

/** Opens a reader. Settings go over the environment. @throws as createProducer */
export function createReader(settings?: Settings): Promise<Reader> {
  return open(settings, 'prompt', async (rooms, releases) => {
    beat(rooms, releases, 'reader');
    return {
      ...createReaderFrom({ ...rooms, gates: rooms.guard.gates }),
      [Symbol.asyncDispose]: () => releases.release(),
    };
  });
}

/** Opens what the command line needs beside producer and reader. @throws as createProducer */
export function createOperator(settings?: Settings): Promise<Operator> {
  return open(settings, 'prompt', async ({ config, clock, redis, store, tenants }, releases) => {
    const queue = releases.add(openQueue(config, redis, clock), (opened) => opened.close());
    const operator = createOperatorFrom({ queueName: config.queue, clock, redis, queue, store, tenants });
    return { ...operator, [Symbol.asyncDispose]: () => releases.release() };
  });
}

export interface RunningWorker extends AsyncDisposable {
  /** Where /livez, /readyz and /metrics are. */
  readonly port: number;
  /** Drains, hands back, and ends within SEALDEX_STOP_MS. Says whether everything went well. May be called twice. */
  stop(): Promise<{ handedBack: number; isClean: boolean }>;
}

export interface WorkerOptions {
  /** Address of /livez, /readyz and /metrics; all of them by default. */
  readonly host?: string;
  readonly log?: 'silent';
  /** 0 to 1: how long a job waits that is back from a stall, of 1 to 60 s; random by default. */
  readonly afterStall?: () => number;
  /** Ends the start between two of its steps, with the signal's reason. A worker that has started is not stopped by it. */
  readonly signal?: AbortSignal;
}

/** Starts a worker. @throws SealdexError `CONFIG_INVALID` for what must not run (eviction, a store without conditions) */
export function startIndexWorker(settings?: Settings, options: WorkerOptions = {}): Promise<RunningWorker> {
  const start = async (rooms: Rooms, releases: Releases): Promise<RunningWorker> => {
    const { config, clock, metrics, redis, store, guard, ring } = rooms;
    const log: Log = options.log === 'silent' ? silentLog : createLog(config, 'worker');
    for (const warning of await checkRedis(redis)) log.warn({}, warning);
    options.signal?.throwIfAborted();
    await proveConditionalWrites(store, config.queue);
    const budget = new ByteBudget(clock, config.inFlightBytes, config.concurrency);
    const canary = createCanary(store, config.queue, clock);
    const slots = new TenantSlots(clock, config.concurrency);
    const platform: Platform = releases.add(
      createPlatform({
        clock,
        log,
        store,
        guard,
        canary,
        onPause: () => worker.pause(),
        onResume: () => worker.resume(),
      }),
      (opened) => opened.stop(),
    );
    tellOfFaults(guard, log, platform);
    const shutGates = (): number => guard.gates.all().filter(isClosed).length;
    const readiness = createReadiness(redis, () => platform.code, shutGates);
    gauges(metrics, ring, budget, readiness);
    const handle = createHandler({ ...rooms, gates: guard.gates, log, budget, canary, slots });
    const health = releases.add(
      await startHealth({ host: options.host, port: config.port, metrics, readiness: readiness.check }),
      (opened) => opened.stop(),
    );
    beat(rooms, releases, 'worker');
    await keepUp(rooms, releases, log);
    const worker: QueueWorker = startWorker({
      config,
      clock,
      log,
      metrics,
      redis,
      queueRedis: await rooms.connect('queue'),
      handle,
      afterStall: options.afterStall,
      onOutcome: (outcome) => platform.onOutcome(outcome),
      parking: { isOpen: (text) => !isClosed(parseGate(text)), lookAgain: () => guard.gates.tick() },
      async onCompleted(id, data) {
        if (data.kind === 'index') await removeContent(store, { id, ...data });
      },
    });
    const queue = releases.add(openQueue(config, redis, clock), (opened) => opened.close());
    releases.add(startProbing(rooms, log, queue), (opened) => opened.stop());
    log.info({ queue: config.queue, concurrency: config.concurrency, port: health.port }, 'worker takes jobs');
    const stop = async (): Promise<{ handedBack: number; isClean: boolean }> => {
      readiness.stopping();
      const ended = await worker.stop();
      await releases.release();
      log.info(ended, 'worker has stopped');
      return ended;
    };
    let stopped: ReturnType<typeof stop> | undefined;
    const stopOnce = (): ReturnType<typeof stop> => (stopped ??= stop());
    return { port: health.port, stop: stopOnce, [Symbol.asyncDispose]: async () => void (await stopOnce()) };
  };
  return open(settings, 'patient', start, options.signal);
}

function tellOfFaults({ told }: Guard, log: Log, platform: Platform): void {
  told.suspect = (code) => platform.suspect(code);
  told.onShut = (tenant, key, error) =>
    log.warn({ tenant, key, ...faultOf(error) }, 'a gate is shut: its jobs are parked');
}
function startProbing({ config, clock, metrics, redis, tenants, guard }: Rooms, log: Log, queue: JobQueue): Probe {
  const { gates, tryKey, platformKeyWorks } = guard;
  const ownerOf = async (tenant: string): Promise<Tenant | undefined> => {
    try {
      return await tenants.get(tenant);
    } catch (error) {
      if (error instanceof SealdexError && error.code === 'TENANT_UNKNOWN') return undefined;
      throw error;
    }
  };
  return startProbe({
    gates,
    redis,
    keys: redisKeys(config.queue),
    clock,
    log,
    metrics,
    times: config,
    ownerOf,
    async shutByOperator(tenant, keyArn) {
      const owner = await ownerOf(tenant);
      const paused = owner?.shutByOperator?.code === 'TENANT_PAUSED' ? owner.shutByOperator : undefined;
      return paused ?? owner?.blocked.get(keyArn);
    },
    tryKey,
    platformKeyWorks,
    release: ({ tenant, keyArn }, goesOn) => queue.release(gateId(tenant, keyArn), goesOn),
    expire: ({ tenant, keyArn }) => queue.expire(gateId(tenant, keyArn)),
  });
}

/** What the fleet does once for all. */
async function keepUp({ config, clock, metrics, redis, store }: Rooms, releases: Releases, log: Log): Promise<void> {
  const keys = redisKeys(config.queue);
  if (!(await markBirth({ redis, keys, store, queue: config.queue, clock })))
    log.error(
      {},
      `The birth marks of Redis and of the bucket differ: this Redis is a new or another one, and jobs of the old one are not in it. Nothing is swept. Once that is settled, remove system/${config.queue}/birth from the bucket and restart a worker.`,
    );
  const deps = { config, clock, log, metrics, redis, keys, store };
  const chores = [intakeSweep(deps), tombstoneSweep(deps)];
  releases.add(startUpkeep({ chores, redis, keys, clock, log }), (upkeep) => upkeep.stop());
}

function gauges(metrics: Metrics, ring: KeyRing, budget: ByteBudget, readiness: WorkerReadiness): void {
  metrics.gauge('sealdex_keys_in_memory', () => ring.stats().keys);
  metrics.gauge('sealdex_oldest_key_age_seconds', () => ring.stats().oldestMs / 1000);
  metrics.gauge('sealdex_content_in_flight_bytes', () => budget.inFlight);
  metrics.gauge('sealdex_ready', async () => ((await readiness.check()).isReady ? 1 : 0));
}
