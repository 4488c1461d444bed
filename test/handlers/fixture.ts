// The handler of jobs with real keys, stores and services, without the queue: a test gives it jobs and gets outcomes.
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { createExtractPool } from '../../src/extract/pool.ts';
import type { TakenJob } from '../../src/jobs/jobs.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import type { Log } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { NO_GATE } from '../../src/parking/gate-record.ts';
import { openQueue } from '../../src/queue/bull/queues.ts';
import { createReencryption } from '../../src/reencryption/reencryption.ts';
import { openRedis, redisKeys } from '../../src/runtime/redis.ts';
import { createTenantChanges } from '../../src/tenants/changes.ts';
import { createTenants, type Tenants } from '../../src/tenants/tenants.ts';
import { ByteBudget } from '../../src/handlers/budget.ts';
import { createCanary } from '../../src/handlers/canary.ts';
import { createHandler, type HandlerDeps } from '../../src/handlers/handle.ts';
import type { Canary } from '../../src/handlers/outcome.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { BackgroundGate } from '../../src/handlers/background-gate.ts';
import { TenantSlotLimiter } from '../../src/handlers/tenant-slot-limiter.ts';
import { AdaptiveConcurrency } from '../../src/handlers/adaptive-concurrency.ts';
import { openForge, type Forge } from '../journey/forge.ts';
import { openHouse, type House } from '../journey/installation.ts';

type RoomDeps = HandlerDeps & { readonly tenants: Tenants };

export interface WorkRoom extends AsyncDisposable {
  readonly house: House;
  readonly forge: Forge;
  readonly deps: RoomDeps;
  /** A canary that has not flown yet. */
  freshCanary(): Canary;
  /** Everything that was logged, as one text. */
  log(): string;
  handle(
    job: Omit<TakenJob, 'queuedAt'>,
    options?: { deps?: Partial<HandlerDeps>; handBack?: AbortSignal; queuedAt?: number },
  ): Promise<Outcome>;
}

export async function openWorkRoom(): Promise<WorkRoom> {
  await using opened = new AsyncDisposableStack();
  const house = opened.use(await openHouse());
  const forge = opened.use(openForge(house));
  const config = loadConfig(house.settings, {});
  const clock = systemClock;
  const metrics = createMetrics();
  const { store } = house;
  const redis = opened.adopt(await openRedis(config, 'patient'), (redis) => redis.disconnect());
  const kms = opened.adopt(createKms(config, metrics, noAudit, 'patient'), (kms) => kms.close());
  const ring = opened.adopt(
    new KeyRing({ clock, kms, shared: createSharedKeys(redis, config.queue, clock), use: 'patient' }),
    (ring) => ring.close(),
  );
  const subscriber = opened.adopt(await openRedis(config, 'subscriber'), (redis) => redis.disconnect());
  const changes = createTenantChanges({ redis, subscriber, queue: config.queue, clock });
  const tenants = await createTenants({ config, clock, store, changes, audit: noAudit });
  opened.defer(() => tenants.close());
  const lines: string[] = [];
  const say = (facts: object, message: string): void => void lines.push(JSON.stringify({ ...facts, message }));
  const log: Log = { debug: say, info: say, warn: say, error: say };
  const { extractMs, extractHeapBytes: heapBytes } = config;
  const extractors = opened.use(createExtractPool({ clock, size: 1, extractMs, heapBytes, limits: config }));
  const budget = new ByteBudget(clock, config.inFlightBytes, config.concurrency);
  const gates: HandlerDeps['gates'] = { refusal: () => undefined, get: () => NO_GATE };
  const slots = new TenantSlotLimiter(clock, config.concurrency);
  const queue = opened.adopt(openQueue(config, redis, clock), (queue) => queue.close());
  const keys = redisKeys(config.queue);
  const reencryption = createReencryption({ queueName: config.queue, clock, redis, keys, queue, tenants, store });
  const freshCanary = (): Canary => createCanary(store, config.queue, clock);
  const deps: RoomDeps = {
    config,
    clock,
    log,
    metrics,
    store,
    ring,
    tenants,
    gates,
    enforceOperatorStop: async () => {},
    extractors,
    budget,
    reencryption,
    canary: freshCanary(),
    slots,
    backgroundGate: new BackgroundGate(clock),
    reencryptionConcurrency: new AdaptiveConcurrency(() => 0.5),
  };
  const all = opened.move();
  return {
    house,
    forge,
    deps,
    freshCanary,
    log: () => lines.join('\n'),
    handle: (job, { deps: other, handBack = new AbortController().signal, queuedAt = Date.now() } = {}) =>
      createHandler({ ...deps, ...other })({ ...job, queuedAt }, handBack),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
