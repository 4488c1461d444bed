// A worker, tied together: jobs from the queue through the handler, guarded by gates, paused by platform faults, with the
// fleet's probes and chores beside it.
import type { Clock } from '../runtime/clock.ts';
import type { Config, Environment, Settings } from '../runtime/config.ts';
import { readHeartbeats } from '../maintenance/heartbeat.ts';
import { createReadiness, startHealth } from './health.ts';
import { removeContent } from '../intake/intake.ts';
import { createLog, silentLog, type Log } from '../runtime/log.ts';
import { createExtractPool } from '../extract/pool.ts';
import { READERS_MISSING, readersFolder } from '../extract/readers.ts';
import { gateId, type QueueName } from '../runtime/names.ts';
import { isClosed } from '../parking/gate.ts';
import { startProbe } from '../parking/probe.ts';
import { parseGate } from '../parking/gate-record.ts';
import type { Handle } from '../queue/bull/processor.ts';
import { openQueue } from '../queue/bull/queues.ts';
import type { QueueWorker } from '../queue/bull/worker.ts';
import { startWorkers } from '../queue/bull/workers.ts';
import { createReencryption } from '../reencryption/reencryption.ts';
import { checkRedis, redisKeys } from '../runtime/redis.ts';
import { proveConditionalWrites } from '../store/system.ts';
import { depthsReader } from '../maintenance/queue-depths.ts';
import { ByteBudget } from '../handlers/budget.ts';
import { createCanary } from '../handlers/canary.ts';
import { createHandler } from '../handlers/handle.ts';
import { BackgroundGate } from '../handlers/background-gate.ts';
import { TenantSlotLimiter } from '../handlers/tenant-slot-limiter.ts';
import { AdaptiveConcurrency } from '../handlers/adaptive-concurrency.ts';
import { keepUp } from './fleet-tasks.ts';
import { busyShare, depthGauges, eventLoopGauges, gauges } from './gauges.ts';
import { createPlatform, type Platform } from './platform.ts';
import { probing } from './probing.ts';
import { beat, openRooms, type Releases, type Rooms } from './resources.ts';

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
  /** Time; a test's own. */
  readonly clock?: Clock;
  /** Ends the start between two of its steps, with the signal's reason. A worker that has started is not stopped by it. */
  readonly signal?: AbortSignal;
  /** Environment below the settings; the process's own by default. */
  readonly env?: Environment;
}

/** Starts a worker. @throws SealdexError `CONFIG_INVALID` for what must not run (eviction, a store without conditions) */
export function startWorker(settings?: Settings, options: WorkerOptions = {}): Promise<RunningWorker> {
  const start = async (rooms: Rooms, releases: Releases): Promise<RunningWorker> => {
    const { config, clock, metrics, log, redis, store, guard } = rooms;
    const takesUploads = readersFolder() !== undefined;
    if (!takesUploads) log.warn({}, `Upload jobs wait for another worker. ${READERS_MISSING}`);
    for (const warning of await checkRedis(redis)) log.warn({}, warning);
    options.signal?.throwIfAborted();
    await proveConditionalWrites(store, config.queue);
    // What one queue works on takes no memory from the other.
    const budgets = {
      index: new ByteBudget(clock, config.inFlightBytes, config.concurrency),
      upload: new ByteBudget(clock, 2 * config.inFlightBytes, config.uploadConcurrency),
    };
    const extractors = releases.add(
      createExtractPool({
        clock,
        size: config.uploadConcurrency,
        extractMs: config.extractMs,
        heapBytes: config.extractHeapBytes,
        limits: config,
      }),
      (pool) => pool.stop(),
    );
    const canary = createCanary(store, config.queue, clock);
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
    guard.platformSuspected.add((code) => platform.suspect(code));
    const shutGates = (): number => guard.gates.all().filter(({ record }) => record?.state === 'shut').length;
    const readiness = createReadiness(redis, () => platform.code, shutGates);
    gauges(
      metrics,
      guard,
      () => readHeartbeats(redis, config.queue),
      () => budgets.index.inFlight + budgets.upload.inFlight,
      readiness,
    );
    depthGauges(metrics, depthsReader(redis, redisKeys(config.queue)));
    releases.add(eventLoopGauges(metrics), (stop) => stop());
    const { gates, keyMonitor } = guard;
    const queue = releases.add(openQueue(config, redis, clock), (opened) => opened.close());
    const reencryption = createReencryption({
      ...rooms,
      queueName: config.queue,
      keys: redisKeys(config.queue),
      queue,
    });
    // Each queue's jobs hang on a tenant's key or store in slots of their own.
    const handleOf = (name: QueueName, slots: number): Handle =>
      createHandler({
        ...rooms,
        gates,
        enforceOperatorStop: keyMonitor.enforceOperatorStop,
        extractors,
        budget: budgets[name],
        reencryption,
        canary,
        slots: new TenantSlotLimiter(clock, slots),
        backgroundGate: new BackgroundGate(clock),
        reencryptionConcurrency: new AdaptiveConcurrency(busyShare()),
      });
    const health = releases.add(
      await startHealth({ host: options.host, port: config.port, metrics, readiness: readiness.check }),
      (opened) => opened.stop(),
    );
    beat(rooms, releases, 'worker');
    releases.add(await keepUp(rooms, log, queue, (tenant) => reencryption.mend(tenant)), (upkeep) => upkeep.stop());
    const worker: QueueWorker = startWorkers({
      config,
      clock,
      log,
      metrics,
      redis,
      queueRedis: await rooms.connect('queue'),
      handles: {
        index: handleOf('index', config.concurrency),
        ...(takesUploads && { upload: handleOf('upload', config.uploadConcurrency) }),
      },
      afterStall: options.afterStall,
      onOutcome: (outcome) => platform.onOutcome(outcome),
      parking: { isOpen: (text) => !isClosed(parseGate(text)), refresh: () => guard.gates.reload() },
      async onCompleted(id, data) {
        if ('content' in data) await removeContent(store, { id, ...data });
      },
    });
    metrics.gauge('sealdex_jobs_active', () => worker.active());
    const probe = startProbe({
      ...probing(rooms),
      release: ({ tenant, keyArn }, goesOn) => queue.release(gateId(tenant, keyArn), goesOn),
      expire: ({ tenant, keyArn }) => queue.expire(gateId(tenant, keyArn)),
    });
    releases.add(probe, (opened) => opened.stop());
    const { queue: name, concurrency } = config;
    const uploadConcurrency = takesUploads ? config.uploadConcurrency : 0;
    log.info({ queue: name, concurrency, uploadConcurrency, port: health.port }, 'worker takes jobs');
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
  const logOf = (config: Config): Log => (options.log === 'silent' ? silentLog : createLog(config, 'worker'));
  return openRooms(settings, 'patient', start, { ...options, logOf });
}
