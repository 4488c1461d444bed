// Operator: all administrative operations as one interface. Returns plain data; src/cli formats it.
import type { Code } from '../runtime/errors.ts';
import { readHeartbeats, type Heartbeat } from '../maintenance/heartbeat.ts';
import { gateNamed, parkedByTenant, type GateFacts, type TenantParked } from './gates.ts';
import { createCancelOperator, type CancelOperator } from './cancel-jobs.ts';
import { createKeyCheckOperator, type KeyCheckOperator } from './key-check.ts';
import { createKeyOperator, type KeyOperator } from './key-operator.ts';
import { createOffboardingOperator, type OffboardingDeps, type OffboardingOperator } from './offboarding.ts';
import { createLetterOperator, type LetterOperator } from './dead-letters.ts';
import {
  createTenantOperator,
  type PlatformKeyContent,
  type TenantOperator,
  type TenantOperatorDeps,
} from './tenant-operator.ts';
import { createIntakeOperator, type IntakeOperator } from './intake.ts';
import { createRecoveryOperator, type RecoveryDeps, type RecoveryOperator } from './recovery.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { JobFilter, UnfinishedJob } from '../queue/bull/job-list.ts';
import type { JobFacts, QueueCounts } from '../queue/bull/job-lookup.ts';
import type { SweepDeps } from '../maintenance/sweep.ts';
import { knownFields, type FieldNames } from '../runtime/known-fields.ts';
import type { AuditLog } from '../runtime/audit-log.ts';
import type { Store } from '../store/store.ts';

export type { JobData } from '../jobs/jobs.ts';
export type { Heartbeat, Role } from '../maintenance/heartbeat.ts';
export type { JobFilter, UnfinishedJob, UnfinishedState } from '../queue/bull/job-list.ts';
export type { QueueName } from '../runtime/names.ts';

/** Number of jobs in a queue by state. `oldestWaitingMs` is the time since the next job was queued, in milliseconds. */
export type QueueStatus = QueueCounts & { readonly oldestWaitingMs?: number };

/** State of an installation. */
export interface Status {
  /** Name of the installation, the setting SEALDEX_QUEUE. */
  readonly queue: string;
  /** Jobs that index or delete documents. */
  readonly index: QueueStatus;
  /** Jobs that extract uploaded files. */
  readonly upload: QueueStatus;
  /** Running workers, producers and readers. */
  readonly processes: readonly Heartbeat[];
  /** Plaintext data keys in memory, summed over the processes. */
  readonly keys: number;
  /** Age of the oldest of these keys in milliseconds. */
  readonly oldestKeyMs: number;
  /** KMS calls by operation, summed over the processes. */
  readonly kmsCalls: Readonly<Record<string, number>>;
  /** Tenants with parked jobs, most jobs first, from at most 1,000 gates. */
  readonly parkedByTenant: readonly TenantParked[];
  /** Content of all tenants that waits under the platform key. */
  readonly platformKeyContent: PlatformKeyContent;
  /** Number of dead letters by tenant and code. `tenant` is absent for jobs without readable data. */
  readonly deadByTenant: readonly { readonly tenant?: string; readonly code: Code; readonly letters: number }[];
}

/** Status of a job with its data. */
export interface ShownJob extends JobFacts {
  /** For a parked job: current state of its gate. */
  readonly gate?: GateFacts;
}

/**
 * Administration of tenants, keys, parked jobs and dead letters. Methods throw `REDIS_FAILED` or `STORE_FAILED` in an outage, and
 * `TENANT_UNKNOWN` for a tenant that does not exist.
 */
export interface Operator
  extends
    KeyOperator,
    KeyCheckOperator,
    LetterOperator,
    CancelOperator,
    TenantOperator,
    OffboardingOperator,
    IntakeOperator,
    RecoveryOperator,
    AsyncDisposable {
  /**
   * Queues, processes and keys as recorded in Redis. A process that was killed is included for some seconds.
   * @throws SealdexError `REDIS_FAILED`
   */
  status(): Promise<Status>;
  /**
   * Status of a job; `unknown` if it does not exist or ended more than SEALDEX_STATUS_MS ago.
   * @throws SealdexError `REDIS_FAILED`
   */
  job(jobId: string): Promise<ShownJob>;
  /**
   * Jobs that have not ended: active, then retrying and parked, then queued. Reads Redis a page at a time. A job that changes its
   * state meanwhile can be missing or listed twice.
   * @throws SealdexError `REDIS_FAILED`
   */
  jobs(filter?: JobFilter): AsyncGenerator<UnfinishedJob>;
}

export interface OperatorDeps extends TenantOperatorDeps {
  readonly queueName: string;
  readonly queue: JobQueue;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly offboarding: OffboardingDeps;
  readonly recovery: RecoveryDeps & SweepDeps;
}

const queueStatus = (counts: QueueCounts, now: number): QueueStatus =>
  counts.oldest === undefined ? counts : { ...counts, oldestWaitingMs: Math.max(0, now - counts.oldest) };

const JOB_FILTER: FieldNames<JobFilter> = {
  tenant: true,
  corpus: true,
  kind: true,
  state: true,
  code: true,
  queuedBefore: true,
};

export function createOperatorFrom(deps: OperatorDeps): Omit<Operator, typeof Symbol.asyncDispose> {
  const { queueName, clock, redis, queue, store } = deps;
  return {
    ...createKeyOperator(deps),
    ...createKeyCheckOperator(deps),
    ...createTenantOperator(deps),
    async status() {
      const [counts, processes, parked, platformKeyContent, dead] = await Promise.all([
        queue.counts(),
        readHeartbeats(redis, queueName),
        parkedByTenant(deps),
        queue.platformContent(),
        queue.letters.counts(),
      ]);
      return {
        queue: queueName,
        index: queueStatus(counts.index, clock.now()),
        upload: queueStatus(counts.upload, clock.now()),
        processes,
        keys: processes.reduce((sum, { keys }) => sum + keys, 0),
        oldestKeyMs: processes.reduce((oldest, { oldestKeyMs }) => Math.max(oldest, oldestKeyMs), 0),
        kmsCalls: sumOf(processes.map(({ kmsCalls }) => kmsCalls)),
        parkedByTenant: parked,
        platformKeyContent,
        deadByTenant: dead,
      };
    },
    ...createLetterOperator(queue.letters, store),
    ...createCancelOperator(deps),
    ...createOffboardingOperator(deps.offboarding),
    ...createIntakeOperator(deps.recovery),
    ...createRecoveryOperator(deps.recovery),
    async *jobs(filter = {}) {
      yield* queue.list(knownFields(filter, JOB_FILTER));
    },
    async job(jobId) {
      const facts = await queue.facts(jobId);
      if (!facts.parked) return facts;
      const gate = await gateNamed(deps, facts.parked.gate);
      return gate ? { ...facts, gate } : facts;
    },
  };
}

function sumOf(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const [name, count] of counts.flatMap((each) => Object.entries(each)))
    sums.set(name, (sums.get(name) ?? 0) + count);
  return Object.fromEntries(sums);
}
