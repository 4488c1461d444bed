// Worker: takes jobs from the queue as long as the platform works, and probes gates and runs fleet tasks beside them.
import { createCanary } from '../handlers/canary.ts';
import { readHeartbeats } from '../maintenance/heartbeat.ts';
import { queueDepthsReader } from '../maintenance/queue-depths.ts';
import { isClosed } from '../parking/gate.ts';
import { parseGate } from '../parking/gate-record.ts';
import { startProbe, type Probe } from '../parking/probe.ts';
import { openQueue, type JobQueue } from '../queue/bull/queues.ts';
import type { QueueWorker } from '../queue/bull/worker.ts';
import { startWorkers } from '../queue/bull/workers.ts';
import { deleteRemovals } from '../queue/bull/intake-removals.ts';
import { createReencryption } from '../reencryption/reencryption.ts';
import { intakeOf } from '../jobs/jobs.ts';
import { intakeName } from '../runtime/intake-key.ts';
import { gateId } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AuditSink } from '../runtime/audit-log.ts';
import type { Environment, Settings } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import { checkRedis, redisKeys } from '../runtime/redis.ts';
import { readFloor } from '../store/revision-floor.ts';
import { removeIntake } from '../store/intake.ts';
import { proveConditionalWrites } from '../store/system.ts';
import { startFleetTasks } from './fleet-tasks.ts';
import { depthGauges, eventLoopGauges, gauges } from './gauges.ts';
import { createReadiness, startHealth, type WorkerReadiness } from './health.ts';
import { createJobHandlers, type JobHandlers } from './job-handlers.ts';
import { createPlatform, type Platform } from './platform.ts';
import { probing } from './probing.ts';
import { openResources, startProcessHeartbeat, type Resources, type ResourceStack } from './resources.ts';

/** A worker that was started by `startWorker`; disposing of it stops it. */
export interface RunningWorker extends AsyncDisposable {
  /** Port on which /livez, /readyz and /metrics are served. */
  readonly port: number;
  /**
   * Stops taking jobs, finishes running jobs for up to SEALDEX_DRAIN_MS, returns the rest to the queue and releases everything
   * within SEALDEX_STOP_MS. `handedBack` is the number of jobs that returned to the queue; `isClean` is true if everything was
   * released in time. A second call returns the same promise.
   */
  stop(): Promise<{ handedBack: number; isClean: boolean }>;
}

/** Options of startWorker. */
export interface WorkerOptions {
  /** IP address on which /livez, /readyz and /metrics are served; takes precedence over SEALDEX_HOST. */
  readonly host?: string;
  /** Logger of the host application, for example pino's; its level decides, not SEALDEX_LOG_LEVEL. Silent by default. */
  readonly logger?: Log;
  /**
   * Receives the audit records instead of the destination in SEALDEX_AUDIT_LOG. Without a sink and without that setting, no audit
   * log is written.
   */
  readonly audit?: AuditSink;
  /**
   * Registry of the host application for the sealdex metrics, at most one running worker each; /metrics then serves this registry.
   * A registry of its own by default.
   */
  readonly registry?: MetricsRegistry;
  /** Environment below the settings; the process's own by default. */
  readonly env?: Environment;
  /** Cancels the start, which then rejects with the signal's reason. Does not stop a started worker. */
  readonly signal?: AbortSignal;
  /** @internal Position of the wait after a stall between 1 s (0) and 60 s (1); random by default. */
  readonly afterStall?: () => number;
  /** @internal Clock of a test. */
  readonly clock?: Clock;
}

/**
 * Starts a worker in this process. Settings take precedence over the environment.
 * @throws SealdexError `CONFIG_INVALID` for invalid settings, a Redis that evicts keys, a bucket without conditional writes, a port
 * in use, or a registry that has a running worker; `REDIS_FAILED` or `STORE_FAILED` in an outage; the reason of `signal`
 */
export function startWorker(settings?: Settings, options: WorkerOptions = {}): Promise<RunningWorker> {
  const start = async (resources: Resources, stack: ResourceStack): Promise<RunningWorker> => {
    await checkInstallation(resources, options.signal);
    return startIn(resources, stack, options);
  };
  return openResources(settings, 'patient', start, options);
}

/** @throws SealdexError `CONFIG_INVALID` if Redis could lose keys, or the bucket ignores conditional writes */
async function checkInstallation({ config, log, redis, store }: Resources, signal?: AbortSignal): Promise<void> {
  for (const warning of await checkRedis(redis)) log.warn({}, warning);
  signal?.throwIfAborted();
  await proveConditionalWrites(store, config.queue);
}

async function startIn(
  resources: Resources,
  stack: ResourceStack,
  { host, afterStall }: WorkerOptions,
): Promise<RunningWorker> {
  const { config, clock, metrics, log, redis, store, tenants, keyAccess } = resources;
  const canary = createCanary(store, config.queue, clock);
  const platform = stack.add(createPlatform({ clock, log, store, keyAccess, canary }), (opened) => opened.stop());
  keyAccess.platformSuspected.add((code) => platform.onPlatformSuspected(code));
  const queue = stack.add(
    openQueue(config, redis, clock, () => readFloor(store, config.queue, clock)),
    (opened) => opened.close(),
  );
  const [queueName, keys] = [config.queue, redisKeys(config.queue)];
  const reencryption = createReencryption({ queueName, clock, redis, keys, queue, tenants, store });
  const handlers = createJobHandlers(resources, stack, canary, reencryption);
  const readiness = createReadiness(
    redis,
    () => platform.code,
    () => shutGates(resources),
  );
  registerGauges(resources, stack, readiness, handlers);
  const { port } = stack.add(
    await startHealth({ host: host ?? config.host, port: config.port, metrics, readiness: readiness.check }),
    (opened) => opened.stop(),
  );
  const takesUploads = handlers.handles.upload !== undefined;
  startProcessHeartbeat(resources, stack, 'worker', takesUploads);
  stack.add(await startFleetTasks(resources, queue, reencryption), (tasks) => tasks.stop());
  const worker = await startQueueWorkers(resources, handlers, platform, afterStall);
  platform.control(worker);
  metrics.gauge('sealdex_jobs_active', () => worker.active());
  stack.add(startGateProbe(resources, queue), (opened) => opened.stop());
  const { concurrency } = config;
  const uploadConcurrency = takesUploads ? config.uploadConcurrency : 0;
  log.info({ queue: queueName, concurrency, uploadConcurrency, port }, 'worker started');
  return runningWorker(port, async () => {
    readiness.stopping();
    const ended = await worker.stop();
    await stack.release();
    log.info(ended, 'worker stopped');
    return ended;
  });
}

function runningWorker(port: number, stop: RunningWorker['stop']): RunningWorker {
  let stopped: ReturnType<typeof stop> | undefined;
  const stopOnce = (): ReturnType<typeof stop> => (stopped ??= stop());
  return { port, stop: stopOnce, [Symbol.asyncDispose]: async () => void (await stopOnce()) };
}

function shutGates({ keyAccess }: Resources): number {
  return keyAccess.gates.all().filter(({ record }) => record?.state === 'shut').length;
}

function registerGauges(
  { config, metrics, redis, keyAccess }: Resources,
  stack: ResourceStack,
  readiness: WorkerReadiness,
  { inFlightBytes }: JobHandlers,
): void {
  gauges(metrics, keyAccess, () => readHeartbeats(redis, config.queue), inFlightBytes, readiness);
  depthGauges(metrics, queueDepthsReader(redis, redisKeys(config.queue)));
  stack.add(eventLoopGauges(metrics), (stop) => stop());
}

async function startQueueWorkers(
  { config, clock, log, metrics, redis, store, keyAccess, connect }: Resources,
  { handles }: JobHandlers,
  platform: Platform,
  afterStall: WorkerOptions['afterStall'],
): Promise<QueueWorker> {
  return startWorkers({
    config,
    clock,
    log,
    metrics,
    redis,
    queueRedis: await connect('queue'),
    handles,
    afterStall,
    onOutcome: (outcome) => platform.onOutcome(outcome),
    parking: { isOpen: (text) => !isClosed(parseGate(text)), refresh: () => keyAccess.gates.tick() },
    async onCompleted(id, data) {
      const place = intakeOf(config.queue, id, data);
      if (!place) return;
      await removeIntake(store, place);
      await deleteRemovals(redis, redisKeys(config.queue), [intakeName(place)]);
    },
  });
}

function startGateProbe(resources: Resources, queue: JobQueue): Probe {
  return startProbe({
    ...probing(resources),
    release: (key, shouldContinue) => queue.release(gateId(key), shouldContinue),
    expire: (key) => queue.expire(gateId(key)),
  });
}
