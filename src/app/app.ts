// The composition root: opens producer, reader, operator and worker from settings. How the rooms are tied together is
// known here and in app/ only.
import { probing } from './probing.ts';
import { beat, openRooms } from './resources.ts';
import type { Environment, Settings } from '../runtime/config.ts';
import { createKeyCalls } from '../keys/aws/key-calls.ts';
import { createOperatorFrom, type Operator } from '../operator/operator.ts';
import type { GateOwner } from '../parking/gate.ts';
import { createProducerFrom, type Producer } from '../producer/producer.ts';
import { openQueue } from '../queue/bull/queues.ts';
import { createReaderFrom, type Reader } from '../reader/reader.ts';
import { createReencryption } from '../reencryption/reencryption.ts';
import { checkRedis, redisKeys } from '../runtime/redis.ts';
import { createStore } from '../store/s3/s3-store.ts';

export { reasonMessage } from '../extract/reasons.ts';
export { examineInstallation, type DoctorOptions } from './doctor.ts';
export { startWorker, type RunningWorker, type WorkerOptions } from './worker.ts';
export type { JobState, JobStatus } from '../producer/producer.ts';
export type { DocumentName, ListedDocument, Reader } from '../reader/reader.ts';
export type { ShownJob, Status } from '../operator/operator.ts';
export type { GateFacts, TenantParked } from '../operator/gates.ts';
export type { KeyCheck } from '../operator/key-check.ts';
export type { ProbeAnswer } from '../operator/keys.ts';
export type { Counts, Exported, LeavingStep, Left } from '../operator/offboarding.ts';
export type { Discarded, Letter, LetterFilter, Replayed } from '../operator/dead-letters.ts';
export type { ParkedJob } from '../operator/parked.ts';
export type { GateChange } from '../operator/stops.ts';
export type { KeyChanged } from '../operator/set-key.ts';
export type { ReencryptionProgress } from '../reencryption/reencryption.ts';
export type { TenantFile } from '../tenants/tenants.ts';
export type { Operator, Producer, Settings };

export interface OpenOptions {
  /** Environment below the settings; the process's own by default. */
  readonly env?: Environment;
}

/**
 * Opens a producer. Settings go over the environment.
 * @throws SealdexError `CONFIG_INVALID` with all faults, `REDIS_FAILED` within a second
 */
export function createProducer(settings?: Settings, options: OpenOptions = {}): Promise<Producer> {
  return openRooms(
    settings,
    'prompt',
    async (rooms, releases) => {
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
    },
    options,
  );
}

/** Opens a reader. Settings go over the environment. @throws as createProducer */
export function createReader(settings?: Settings, options: OpenOptions = {}): Promise<Reader> {
  return openRooms(
    settings,
    'prompt',
    async (rooms, releases) => {
      beat(rooms, releases, 'reader');
      return {
        ...createReaderFrom({ ...rooms, gates: rooms.guard.gates }),
        [Symbol.asyncDispose]: () => releases.release(),
      };
    },
    options,
  );
}

/** Opens what the command line needs beside producer and reader. @throws as createProducer */
export function createOperator(settings?: Settings, options: OpenOptions = {}): Promise<Operator> {
  return openRooms(
    settings,
    'prompt',
    async (rooms, releases) => {
      const { config, clock, metrics, redis, guard, audit, identity } = rooms;
      const queue = releases.add(openQueue(config, redis, clock), (opened) => opened.close());
      const keys = redisKeys(config.queue);
      const shared = { ...rooms, queueName: config.queue, keys, queue };
      // Listings of all of a tenant, and whole objects, take longer than somebody waits for one answer.
      const patient = releases.add(createStore(config, 'patient'), (opened) => opened.close());
      const operator = createOperatorFrom({
        ...shared,
        gates: guard.gates,
        leaving: { ...rooms, keys, gates: guard.gates, store: patient, identity },
        probing: probing(rooms),
        identity,
        reencryption: createReencryption(shared),
        keyCalls: releases.add(createKeyCalls(config, audit, metrics), (opened) => opened.close()),
      });
      return { ...operator, [Symbol.asyncDispose]: () => releases.release() };
    },
    options,
  );
}
