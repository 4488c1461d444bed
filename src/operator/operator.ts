// The operator: what the command line asks and does besides enqueueing and reading.
// Answers in plain facts; how they look on a terminal is src/cli's business.
import type { Code } from '../runtime/errors.ts';
import { readHeartbeats, type Heartbeat } from '../maintenance/heartbeat.ts';
import { gateNamed, parkedByTenant, type GateFacts, type TenantParked } from './gates.ts';
import { createKeyCheckOperator, type KeyCheckOperator } from './key-check.ts';
import { createKeyOperator, type KeyOperator } from './key-operator.ts';
import { createLeavingOperator, type OffboardingDeps, type OffboardingOperator } from './offboarding.ts';
import { createLetterOperator, type LetterOperator } from './dead-letters.ts';
import { createTenantOperator, type TenantOperator, type TenantOperatorDeps } from './tenant-operator.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { JobFacts, QueueCounts } from '../queue/bull/job-lookup.ts';
import type { Store } from '../store/store.ts';

export type QueueStatus = QueueCounts & { readonly oldestWaitingMs?: number };

export interface Status {
  readonly queue: string;
  readonly index: QueueStatus;
  readonly upload: QueueStatus;
  readonly processes: readonly Heartbeat[];
  /** Sums over the processes. */
  readonly keys: number;
  readonly oldestKeyMs: number;
  readonly kmsCalls: Readonly<Record<string, number>>;
  /** Most first; of at most 1,000 gates. */
  readonly parkedByTenant: readonly TenantParked[];
  /** Dead letters by tenant (none for what names no tenant) and code. */
  readonly deadByTenant: readonly { readonly tenant?: string; readonly code: Code; readonly letters: number }[];
}

export interface ShownJob extends JobFacts {
  /** The gate that a parked job waits at, as it is now. */
  readonly gate?: GateFacts;
}

export interface Operator
  extends KeyOperator, KeyCheckOperator, LetterOperator, TenantOperator, OffboardingOperator, AsyncDisposable {
  /** Queues, processes and keys as Redis tells them now. A process that died counts for some seconds more. */
  status(): Promise<Status>;
  /** State `unknown` for a job that never was or that ended more than an hour (a setting) ago. */
  job(jobId: string): Promise<ShownJob>;
}

export interface OperatorDeps extends TenantOperatorDeps {
  readonly queueName: string;
  readonly queue: JobQueue;
  readonly store: Store;
  readonly leaving: OffboardingDeps;
}

const queueStatus = (counts: QueueCounts, now: number): QueueStatus =>
  counts.oldest === undefined ? counts : { ...counts, oldestWaitingMs: Math.max(0, now - counts.oldest) };

export function createOperatorFrom(deps: OperatorDeps): Omit<Operator, typeof Symbol.asyncDispose> {
  const { queueName, clock, redis, queue, store } = deps;
  return {
    ...createKeyOperator(deps),
    ...createKeyCheckOperator(deps),
    ...createTenantOperator(deps),
    async status() {
      const [counts, processes, parked, dead] = await Promise.all([
        queue.counts(),
        readHeartbeats(redis, queueName),
        parkedByTenant(deps),
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
        deadByTenant: dead,
      };
    },
    ...createLetterOperator(queue.letters, store),
    ...createLeavingOperator(deps.leaving),
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
