// Job handlers of a worker: one for each queue, with its own memory budget and slots, and a shared pool of extractors.
import { createExtractPool } from '../extract/pool.ts';
import { readersFolder } from '../extract/readers.ts';
import { AdaptiveConcurrency } from '../handlers/adaptive-concurrency.ts';
import { BackgroundGate } from '../handlers/background-gate.ts';
import { ByteBudget } from '../handlers/budget.ts';
import { createHandler } from '../handlers/handle.ts';
import type { Canary } from '../handlers/outcome.ts';
import { KmsSlotLimiter } from '../handlers/kms-slot-limiter.ts';
import { TenantSlotLimiter } from '../handlers/tenant-slot-limiter.ts';
import type { Handle } from '../queue/bull/processor.ts';
import type { Reencryption } from '../reencryption/reencryption.ts';
import type { QueueName } from '../runtime/names.ts';
import { busyShare } from './gauges.ts';
import type { Resources, ResourceStack } from './resources.ts';

export interface JobHandlers {
  /** Has no handler for uploads if @sealdex/extract is not installed. */
  readonly handles: Readonly<Partial<Record<QueueName, Handle>>>;
  /** Bytes of content in memory, over all running jobs. */
  readonly inFlightBytes: () => number;
}

const NO_UPLOADS =
  'Upload jobs wait for another worker, because @sealdex/extract is not installed here: npm install @sealdex/extract.';

export function createJobHandlers(
  { config, clock, log, metrics, store, ring, tenants, keyAccess }: Resources,
  stack: ResourceStack,
  canary: Canary,
  reencryption: Reencryption,
): JobHandlers {
  const takesUploads = readersFolder() !== undefined;
  if (!takesUploads) log.warn({}, NO_UPLOADS);
  const { gates, keyMonitor } = keyAccess;
  const { extractMs, extractHeapBytes: heapBytes, concurrency, uploadConcurrency, inFlightBytes } = config;
  const extractors = stack.add(
    createExtractPool({ clock, size: uploadConcurrency, extractMs, heapBytes, limits: config }),
    (pool) => pool.stop(),
  );
  // One budget per queue, so that content of one queue takes no memory from the other.
  const budgets = {
    index: new ByteBudget(clock, inFlightBytes, concurrency),
    upload: new ByteBudget(clock, 2 * inFlightBytes, uploadConcurrency),
  };
  const handleOf = (budget: ByteBudget, slots: number): Handle =>
    createHandler({
      config,
      clock,
      log,
      metrics,
      store,
      ring,
      tenants,
      gates,
      enforceOperatorStop: keyMonitor.enforceOperatorStop,
      extractors,
      reencryption,
      budget,
      canary,
      slots: new TenantSlotLimiter(clock, slots),
      kmsSlots: new KmsSlotLimiter(clock, slots),
      backgroundGate: new BackgroundGate(clock),
      reencryptionConcurrency: new AdaptiveConcurrency(busyShare()),
    });
  return {
    handles: {
      index: handleOf(budgets.index, concurrency),
      ...(takesUploads && { upload: handleOf(budgets.upload, uploadConcurrency) }),
    },
    inFlightBytes: () => budgets.index.inFlight + budgets.upload.inFlight,
  };
}
