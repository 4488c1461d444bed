// The composition root: opens producer, reader, operator and worker from settings, and releases in reverse order.
// The only place that knows how the rooms are tied together.
import { systemClock, type Clock, type Patience } from './clock.ts';
import { loadConfig, type Config, type Settings } from './config.ts';
import { createReadiness, startHealth, type WorkerReadiness } from './health.ts';
import { startHeart, type Role } from './heartbeat.ts';
import { removeContent } from './intake.ts';
import { KeyRing } from './keys/key-ring.ts';
import { createKms } from './keys/kms.ts';
import { createSharedKeys } from './keys/shared-keys.ts';
import { createLog, silentLog, type Log } from './log.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createOperatorFrom, type Operator } from './operator.ts';
import { createProducerFrom, type Producer } from './producer.ts';
import { openQueue } from './queue/queues.ts';
import { startWorker } from './queue/worker.ts';
import { createReaderFrom, type Reader } from './reader.ts';
import { checkRedis, closeRedis, openRedis, type Redis, type RedisUse } from './redis.ts';
import { createStore, type Store } from './store/s3.ts';
import { proveConditionalWrites } from './store/system.ts';
import { createTenants, type Tenants } from './tenants.ts';
import { ByteBudget } from './work/budget.ts';
import { createCanary } from './work/canary.ts';
import { createHandler } from './work/handle.ts';

export type { ListedDocument } from './reader.ts';
export type { Status } from './operator.ts';
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
    const ring = releases.add(
      new KeyRing({ clock, kms, shared: createSharedKeys(redis, config.queue, clock), use }),
      (opened) => opened.close(),
    );
    const tenants = releases.add(await createTenants({ config, clock, store, redis, subscriber }), (opened) =>
      opened.close(),
    );
    signal?.throwIfAborted();
    return await make({ config, clock, metrics, redis, store, ring, tenants, connect }, releases);
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
    const { config, clock, redis, store, ring, tenants } = rooms;
    await checkRedis(redis);
    const queue = releases.add(openQueue(config, redis, clock), (opened) => opened.close());
    beat(rooms, releases, 'producer');
    const intake = { store, ring, inlineBytes: config.inlineBytes };
    const producer = createProducerFrom({ config, clock, queue, tenants, intake });
    return { ...producer, [Symbol.asyncDispose]: () => releases.release() };
  });
}

/** Opens a reader. Settings go over the environment. @throws as createProducer */
export function createReader(settings?: Settings): Promise<Reader> {
  return open(settings, 'prompt', async (rooms, releases) => {
    beat(rooms, releases, 'reader');
    return { ...createReaderFrom(rooms), [Symbol.asyncDispose]: () => releases.release() };
  });
}

/** Opens what the command line needs beside producer and reader. @throws as createProducer */
export function createOperator(settings?: Settings): Promise<Operator> {
  return open(settings, 'prompt', async ({ config, clock, redis, tenants }, releases) => {
    const queue = releases.add(openQueue(config, redis, clock), (opened) => opened.close());
    const operator = createOperatorFrom({ queueName: config.queue, clock, redis, queue, tenants });
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
  /** Ends the start between two of its steps, with the signal's reason. A worker that has started is not stopped by it. */
  readonly signal?: AbortSignal;
}

/** Starts a worker. @throws SealdexError `CONFIG_INVALID` for what must not run (eviction, a store without conditions) */
export function startIndexWorker(settings?: Settings, options: WorkerOptions = {}): Promise<RunningWorker> {
  const start = async (rooms: Rooms, releases: Releases): Promise<RunningWorker> => {
    const { config, clock, metrics, redis, store, ring } = rooms;
    const log: Log = options.log === 'silent' ? silentLog : createLog(config, 'worker');
    for (const warning of await checkRedis(redis)) log.warn({}, warning);
    options.signal?.throwIfAborted();
    await proveConditionalWrites(store, config.queue);
    const budget = new ByteBudget(clock, config.inFlightBytes, config.concurrency);
    const canary = createCanary(store, config.queue, clock);
    const readiness = createReadiness(redis, clock);
    gauges(metrics, ring, budget, readiness);
    const handle = createHandler({ ...rooms, log, budget, canary });
    const health = releases.add(
      await startHealth({ host: options.host, port: config.port, metrics, readiness: readiness.check }),
      (opened) => opened.stop(),
    );
    beat(rooms, releases, 'worker');
    const worker = startWorker({
      config,
      clock,
      log,
      metrics,
      redis,
      queueRedis: await rooms.connect('queue'),
      handle,
      onOutcome(outcome) {
        if (outcome.kind === 'pause') readiness.platformFault(outcome.code);
      },
      onCompleted: (id, { tenant, content }) => removeContent(store, { id, tenant, content }),
    });
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

function gauges(metrics: Metrics, ring: KeyRing, budget: ByteBudget, readiness: WorkerReadiness): void {
  metrics.gauge('sealdex_keys_in_memory', () => ring.stats().keys);
  metrics.gauge('sealdex_oldest_key_age_seconds', () => ring.stats().oldestMs / 1000);
  metrics.gauge('sealdex_content_in_flight_bytes', () => budget.inFlight);
  metrics.gauge('sealdex_ready', async () => ((await readiness.check()).isReady ? 1 : 0));
}
