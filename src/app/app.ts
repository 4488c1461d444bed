// Composition root: opens producer, reader, operator and worker from settings. Only app/ connects modules.
import type { OpenOptions } from './open-options.ts';
import { startProcessHeartbeat, openResources } from './resources.ts';
import type { Settings } from '../runtime/config.ts';
import type { GateOwner } from '../parking/gate.ts';
import { FingerprintKey } from '../intake/fingerprint-key.ts';
import { createProducerFrom, type Producer } from '../producer/producer.ts';
import { openQueue } from '../queue/bull/queues.ts';
import { createReaderFrom, type Reader } from '../reader/reader.ts';
import type { AuditSink } from '../runtime/audit-log.ts';
import type { Log } from '../runtime/log.ts';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import { checkRedis } from '../runtime/redis.ts';
import { readFloor } from '../store/revision-floor.ts';

export { examineInstallation, type DoctorOptions } from './doctor.ts';
export { createOperator, type Operator, type OperatorOptions } from './operator.ts';
export { startWorker, type RunningWorker, type WorkerOptions } from './worker.ts';
export type { JobState, JobStatus } from '../producer/producer.ts';
export type { DocumentName, ListedDocument, Reader } from '../reader/reader.ts';
export type { JobFilter, ShownJob, Status, UnfinishedJob, UnfinishedState } from '../operator/operator.ts';
export type { GateFacts } from '../operator/gates.ts';
export type { KeyCheck } from '../operator/key-check.ts';
export type { ProbeAnswer } from '../operator/keys.ts';
export type { Counts, Exported, DeletionStep, DeletionResult } from '../operator/offboarding.ts';
export type { Canceled, CancelableKind, CancelFilter } from '../operator/cancel-jobs.ts';
export type { DeadLetter, Discarded, LetterFilter, Replayed } from '../operator/dead-letters.ts';
export type { PlatformKeyContent } from '../operator/tenant-operator.ts';
export type { Recovered } from '../operator/recovery.ts';
export type { TenantOrphans } from '../operator/intake.ts';
export type { ParkedJob } from '../operator/parked.ts';
export type { GateChange } from '../operator/stops.ts';
export type { KeyChanged } from '../operator/set-key.ts';
export type { ReencryptionProgress } from '../reencryption/reencryption.ts';
export type { TenantFile } from '../tenants/tenants.ts';
export type { AuditSink, Log, MetricsRegistry, OpenOptions, Producer, Settings };
export type { Environment, SettingName, UnknownVariables } from '../runtime/config.ts';
export type { AuditRecord } from '../runtime/audit-log.ts';

/**
 * Opens a producer. Settings take precedence over the environment.
 * @throws SealdexError `CONFIG_INVALID` with every invalid setting; `REDIS_FAILED` within about 1 s if Redis cannot be reached
 */
export function createProducer(settings?: Settings, options: OpenOptions = {}): Promise<Producer> {
  return openResources(
    settings,
    'prompt',
    async (resources, stack) => {
      const { config, clock, redis, store, kms, keyAccess, ring, tenants } = resources;
      await checkRedis(redis);
      const queue = stack.add(
        openQueue(config, redis, clock, () => readFloor(store, config.queue, clock)),
        (opened) => opened.close(),
      );
      startProcessHeartbeat(resources, stack, 'producer');
      const { inlineBytes, platformKeyArn } = config;
      const intake = {
        store,
        queue: config.queue,
        ring,
        inlineBytes,
        platformKeyArn,
        refusal: (owner: GateOwner) => keyAccess.gates.refusal(owner),
      };
      const fingerprintKey = stack.add(new FingerprintKey({ kms, store, clock, config }), (opened) => opened.close());
      const producer = createProducerFrom({ config, clock, queue, tenants, intake, fingerprintKey }, () =>
        stack.ensureOpen('producer'),
      );
      return { ...producer, [Symbol.asyncDispose]: () => stack.release() };
    },
    { unknownVariables: 'warn', ...options },
  );
}

/**
 * Opens a reader. Settings take precedence over the environment.
 * @throws SealdexError `CONFIG_INVALID` with every invalid setting; `REDIS_FAILED` within about 1 s if Redis cannot be reached
 */
export function createReader(settings?: Settings, options: OpenOptions = {}): Promise<Reader> {
  return openResources(
    settings,
    'prompt',
    async (resources, stack) => {
      startProcessHeartbeat(resources, stack, 'reader');
      const { store, ring, tenants, keyAccess } = resources;
      const reader = createReaderFrom({ store, ring, tenants, gates: keyAccess.gates }, () =>
        stack.ensureOpen('reader'),
      );
      return { ...reader, [Symbol.asyncDispose]: () => stack.release() };
    },
    { unknownVariables: 'warn', ...options },
  );
}
