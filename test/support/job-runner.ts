// The handler of jobs without the queue: a test passes jobs and gets outcomes.
import { AdaptiveConcurrency } from '../../src/handlers/adaptive-concurrency.ts';
import { BackgroundGate } from '../../src/handlers/background-gate.ts';
import { ByteBudget } from '../../src/handlers/budget.ts';
import { createCanary } from '../../src/handlers/canary.ts';
import { createHandler, type HandlerDeps } from '../../src/handlers/handle.ts';
import type { Canary } from '../../src/handlers/outcome.ts';
import { KmsSlotLimiter } from '../../src/handlers/kms-slot-limiter.ts';
import { TenantSlotLimiter } from '../../src/handlers/tenant-slot-limiter.ts';
import { fileRecord } from '../../src/extract/file-record.ts';
import type { TakenJob } from '../../src/jobs/jobs.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { NO_GATE } from '../../src/parking/gate-record.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Config } from '../../src/runtime/config.ts';
import type { Log } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { Store } from '../../src/store/store.ts';
import type { Tenants } from '../../src/tenants/tenants.ts';

export interface JobRunner {
  readonly deps: HandlerDeps & { readonly tenants: Tenants };
  /** A canary that has not run yet. */
  freshCanary(): Canary;
  /** The whole log, as one text. */
  log(): string;
  handle(
    job: Omit<TakenJob, 'queuedAt'>,
    options?: { deps?: Partial<HandlerDeps>; handBack?: AbortSignal; queuedAt?: number },
  ): Promise<Outcome>;
}

export interface JobRunnerDeps {
  readonly config: Config;
  readonly store: Store;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
}

/** All gates are open, files are read in this process, and no re-encryption pass is running. */
export function createJobRunner({ config, store, ring, tenants }: JobRunnerDeps): JobRunner {
  const clock = systemClock;
  const { log, text } = collectingLog();
  const freshCanary = (): Canary => createCanary(store, config.queue, clock);
  const deps: JobRunner['deps'] = {
    config,
    clock,
    log,
    metrics: createMetrics(),
    store,
    ring,
    tenants,
    gates: { refusal: () => undefined, get: () => NO_GATE },
    enforceOperatorStop: async () => {},
    extractors: { extract: (file, place) => fileRecord(file, place, config) },
    budget: new ByteBudget(clock, config.inFlightBytes, config.concurrency),
    reencryption: { passOf: async () => undefined, finishPage: async () => {} },
    canary: freshCanary(),
    slots: new TenantSlotLimiter(clock, config.concurrency),
    kmsSlots: new KmsSlotLimiter(clock, config.concurrency),
    backgroundGate: new BackgroundGate(clock),
    reencryptionConcurrency: new AdaptiveConcurrency(() => 0.5),
  };
  return {
    deps,
    freshCanary,
    log: text,
    handle: (job, { deps: other, handBack = new AbortController().signal, queuedAt = Date.now() } = {}) =>
      createHandler({ ...deps, ...other })({ ...job, queuedAt }, handBack),
  };
}

function collectingLog(): { readonly log: Log; readonly text: () => string } {
  const lines: string[] = [];
  const add = (facts: object, message: string): void => void lines.push(JSON.stringify({ ...facts, message }));
  return { log: { debug: add, info: add, warn: add, error: add }, text: () => lines.join('\n') };
}
