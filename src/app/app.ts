// Composition root: opens producer, reader, operator and worker from settings. Only app/ connects modules.
import { probing } from './probing.ts';
import { startProcessHeartbeat, openResources } from './resources.ts';
import type { Environment, Settings, UnknownVariables } from '../runtime/config.ts';
import { createKeyCalls } from '../keys/aws/key-calls.ts';
import { createOperatorFrom, type Operator } from '../operator/operator.ts';
import type { GateOwner } from '../parking/gate.ts';
import { FingerprintKey } from '../intake/fingerprint-key.ts';
import { createProducerFrom, type Producer } from '../producer/producer.ts';
import { openQueue } from '../queue/bull/queues.ts';
import { createReaderFrom, type Reader } from '../reader/reader.ts';
import { createReencryption } from '../reencryption/reencryption.ts';
import type { AuditSink } from '../runtime/audit-log.ts';
import type { Log } from '../runtime/log.ts';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import { checkRedis, redisKeys } from '../runtime/redis.ts';
import { createStore } from '../store/s3/s3-store.ts';

export { examineInstallation, type DoctorOptions } from './doctor.ts';
export { startWorker, type RunningWorker, type WorkerOptions } from './worker.ts';
export type { JobState, JobStatus } from '../producer/producer.ts';
export type { DocumentName, ListedDocument, Reader } from '../reader/reader.ts';
export type { JobFilter, ShownJob, Status, UnfinishedJob, UnfinishedState } from '../operator/operator.ts';
export type { GateFacts } from '../operator/gates.ts';
export type { KeyCheck } from '../operator/key-check.ts';
export type { ProbeAnswer } from '../operator/keys.ts';
export type { Counts, Exported, DeletionStep, DeletionResult } from '../operator/offboarding.ts';
export type { DeadLetter, Discarded, LetterFilter, Replayed } from '../operator/dead-letters.ts';
export type { ParkedJob } from '../operator/parked.ts';
export type { GateChange } from '../operator/stops.ts';
export type { KeyChanged } from '../operator/set-key.ts';
export type { ReencryptionProgress } from '../reencryption/reencryption.ts';
export type { TenantFile } from '../tenants/tenants.ts';
export type { AuditSink, Log, MetricsRegistry, Operator, Producer, Settings };
export type { Environment, SettingName, UnknownVariables } from '../runtime/config.ts';
export type { AuditRecord } from '../runtime/audit-log.ts';

/** Options of createProducer and createReader. */
export interface OpenOptions {
  /** Logger of the host application, for example pino's; its level decides. Silent by default. */
  readonly logger?: Log;
  /**
   * Receives the audit records instead of the destination in SEALDEX_AUDIT_LOG. Without a sink and without that setting, no audit
   * log is written.
   */
  readonly audit?: AuditSink;
  /** Environment below the settings; the process's own by default. */
  readonly env?: Environment;
  /**
   * Effect of unknown `SEALDEX_` variables in the environment: `reject` throws `CONFIG_INVALID`, `warn` emits a process warning
   * once. A producer or reader warns by default, since its application may be older or newer than the workers. An operator rejects
   * by default.
   */
  readonly unknownVariables?: UnknownVariables;
}

/** Options of createOperator. */
export interface OperatorOptions extends OpenOptions {
  /** Registry of the host application for the sealdex metrics; a worker may share it. A registry of its own by default. */
  readonly registry?: MetricsRegistry;
}

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
      const queue = stack.add(openQueue(config, redis, clock), (opened) => opened.close());
      startProcessHeartbeat(resources, stack, 'producer');
      const { inlineBytes, platformKeyArn } = config;
      const intake = {
        store,
        ring,
        inlineBytes,
        platformKeyArn,
        refusal: (owner: GateOwner) => keyAccess.gates.refusal(owner),
      };
      const fingerprintKey = stack.add(new FingerprintKey({ kms, store, clock, config }), (opened) => opened.close());
      const producer = createProducerFrom({ config, clock, queue, tenants, intake, fingerprintKey });
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
      const reader = createReaderFrom({ store, ring, tenants, gates: keyAccess.gates });
      return { ...reader, [Symbol.asyncDispose]: () => stack.release() };
    },
    { unknownVariables: 'warn', ...options },
  );
}

/**
 * Opens an operator, which does what the command line does with tenants, keys, parked jobs and dead letters. Settings take
 * precedence over the environment.
 * @throws SealdexError `CONFIG_INVALID` with every invalid setting; `REDIS_FAILED` within about 1 s if Redis cannot be reached
 */
export function createOperator(settings?: Settings, options: OperatorOptions = {}): Promise<Operator> {
  return openResources(
    settings,
    'prompt',
    async (resources, stack) => {
      const { config, clock, metrics, redis, store, tenants, audit, identity } = resources;
      const { gates } = resources.keyAccess;
      const queue = stack.add(openQueue(config, redis, clock), (opened) => opened.close());
      const keys = redisKeys(config.queue);
      const shared = { queueName: config.queue, keys, queue, clock, redis, store, tenants };
      // Complete listings of a tenant, and whole objects, take longer than a command waits for one response.
      const patient = stack.add(createStore(config, 'patient'), (opened) => opened.close());
      const operator = createOperatorFrom({
        ...shared,
        config,
        gates,
        leaving: { config, clock, redis, keys, tenants, gates, store: patient, identity },
        probing: probing(resources),
        identity,
        reencryption: createReencryption(shared),
        keyCalls: stack.add(createKeyCalls(config, audit, metrics), (opened) => opened.close()),
      });
      return { ...operator, [Symbol.asyncDispose]: () => stack.release() };
    },
    options,
  );
}
