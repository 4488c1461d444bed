// Recovery of a lost queue: adds jobs again from the names of their content in S3. Makes no KMS call and reads no content.
import { isOfDocument, parseJob, type DocumentJobData } from '../jobs/jobs.ts';
import { acceptRedisIdentity, ensureRedisIdentity } from '../maintenance/redis-identity.ts';
import { estimateBytes } from '../queue/backlog/backlog.ts';
import { findEnded } from '../queue/bull/intake-removals.ts';
import { namedIntake } from '../queue/bull/named-intake.ts';
import { queueOf } from '../queue/bull/queue-keys.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import { isNewPlace, type IntakePlace } from '../runtime/intake-key.ts';
import { knownFields, type FieldNames } from '../runtime/known-fields.ts';
import { takeLease, type Lease } from '../runtime/lease.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';
import { listIntake, type ListedIntake } from '../store/intake.ts';
import type { Store } from '../store/store.ts';

/** Options of `recover`. */
export interface RecoverOptions {
  /** Only jobs of this tenant. */
  readonly tenant?: string | undefined;
  /** Only jobs whose content was stored before this time: Unix time in milliseconds. */
  readonly before?: number | undefined;
  /** Only counts. */
  readonly isDry?: boolean;
  /** Ends the call between two batches of jobs. A later call continues. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the counts so far. */
  readonly onProgress?: ((counts: RecoveryCounts) => void) | undefined;
}

/** Number of objects in intake of this installation, by what a recovery does with them. */
export interface RecoveryCounts {
  /** All objects that were read from the listing. */
  readonly seen: number;
  /** Their job is in the queue or has ended. */
  readonly present: number;
  /** Their job was added again; in a dry run, it would be. */
  readonly added: number;
  /** Not added because the backlog of the tenant is full. */
  readonly backlogFull: number;
  /** Not added because they are so old that the tombstone of a later deletion may be gone. */
  readonly tooOld: number;
  /** Not added because the name does not contain the job: an earlier version wrote it, or a newer one. */
  readonly unreadable: number;
}

/** Result of `recover`. */
export interface Recovered extends RecoveryCounts {
  /** Number of added jobs of each tenant, most jobs first. */
  readonly tenants: readonly { readonly tenant: string; readonly jobs: number }[];
  /** Whether this Redis is now the one of the bucket, so that sweeps run. False after a dry run, with a filter, or if jobs are left. */
  readonly isAccepted: boolean;
}

export interface RecoveryOperator {
  /**
   * Adds the jobs again that a lost Redis had, as far as their content is in S3. A repeated call adds nothing twice.
   * @throws SealdexError `RECOVERY_RUNNING` while another recovery runs; `QUEUE_FULL`, `CLOCK_SKEW`, `REDIS_FAILED`,
   * `STORE_FAILED`: call it again for the rest
   */
  recover(options?: RecoverOptions): Promise<Recovered>;
}

export interface RecoveryDeps {
  readonly config: Pick<Config, 'queue' | 'parkedMaxMs' | 'letterMaxMs'>;
  readonly clock: Clock;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly queue: JobQueue;
  readonly store: Store;
}

const OPTIONS: FieldNames<RecoverOptions> = {
  tenant: true,
  before: true,
  isDry: true,
  signal: true,
  onProgress: true,
};

export const createRecoveryOperator = (deps: RecoveryDeps): RecoveryOperator => ({
  recover: async (options = {}) => recover(deps, knownFields(options, OPTIONS)),
});

/** Longer than a batch and a page of the listing take. */
const LEASE_MS = 60_000;
const BATCH = 100;

type Counts = { -readonly [Name in keyof RecoveryCounts]: number };

async function recover(deps: RecoveryDeps, options: RecoverOptions): Promise<Recovered> {
  const { redis, keys } = deps;
  const { isDry = false, signal } = options;
  const lease = isDry ? undefined : await takeLease(redis, keys.lease('recover'), LEASE_MS);
  if (!isDry && !lease) throw new SealdexError('RECOVERY_RUNNING');
  try {
    const run = new Run(deps, options, lease);
    await run.all();
    const isComplete = !isDry && !signal?.aborted && options.tenant === undefined && options.before === undefined;
    const isAccepted = isComplete && run.counts.backlogFull === 0;
    if (isAccepted) await accept(deps);
    return { ...run.counts, tenants: run.tenants(), isAccepted };
  } finally {
    // A lease that cannot be released expires.
    await lease?.free().catch(() => {});
  }
}

async function accept({ redis, keys, store, config, clock }: RecoveryDeps): Promise<void> {
  const identity = { redis, keys, store, queue: config.queue, clock };
  if (!(await ensureRedisIdentity(identity))) await acceptRedisIdentity(identity);
}

class Run {
  readonly counts: Counts = { seen: 0, present: 0, added: 0, backlogFull: 0, tooOld: 0, unreadable: 0 };
  readonly #deps: RecoveryDeps;
  readonly #options: RecoverOptions;
  readonly #lease: Lease | undefined;
  readonly #added = new Map<string, number>();
  /** Wall clock, milliseconds. A dead letter of this age is not replayed either. */
  readonly #oldest: number;

  constructor(deps: RecoveryDeps, options: RecoverOptions, lease: Lease | undefined) {
    this.#deps = deps;
    this.#options = options;
    this.#lease = lease;
    this.#oldest = deps.clock.now() - deps.config.parkedMaxMs - deps.config.letterMaxMs;
  }

  tenants(): Recovered['tenants'] {
    return [...this.#added]
      .map(([tenant, jobs]) => ({ tenant, jobs }))
      .toSorted((one, other) => other.jobs - one.jobs || (one.tenant < other.tenant ? -1 : 1));
  }

  async all(): Promise<void> {
    const { store } = this.#deps;
    const { tenant, signal, onProgress } = this.#options;
    let after: string | undefined;
    do {
      const page = await listIntake(store, { tenant, after, signal });
      for (let from = 0; from < page.found.length; from += BATCH) {
        if (signal?.aborted) return;
        // Another run may have started after this process was frozen.
        if (this.#lease && !(await this.#lease.renew(LEASE_MS))) throw new SealdexError('RECOVERY_RUNNING');
        await this.#batch(page.found.slice(from, from + BATCH));
        onProgress?.({ ...this.counts });
      }
      after = page.next;
    } while (after !== undefined);
  }

  async #batch(listed: readonly ListedIntake[]): Promise<void> {
    const { redis, keys, queue } = this.#deps;
    const jobs = this.#readable(listed);
    const places = jobs.map(({ place }) => place);
    const named = await namedIntake(
      redis,
      keys,
      places.map(({ jobId }) => jobId),
    );
    // After the queues: a job that has left them since has a record of its end.
    const ended = await findEnded(redis, keys, places);
    // Two attempts to enqueue one job may each have left content.
    const lost = new Map<string, LostJob>();
    for (const [at, job] of jobs.entries()) {
      const isLost = named[at]?.kind === 'gone' && !ended[at] && !lost.has(job.place.jobId);
      if (isLost) lost.set(job.place.jobId, job);
      else this.counts.present += 1;
    }
    if (lost.size === 0) return;
    if (this.#options.isDry) for (const { data } of lost.values()) this.#count(data);
    else await this.#add(queue, [...lost.values()]);
  }

  #readable(listed: readonly ListedIntake[]): LostJob[] {
    const { config } = this.#deps;
    const jobs: LostJob[] = [];
    for (const { place, modifiedAt } of listed) {
      if (isNewPlace(place) && place.queue !== config.queue) continue;
      if (this.#options.before !== undefined && modifiedAt >= this.#options.before) continue;
      this.counts.seen += 1;
      const data = isNewPlace(place) ? dataOf(place) : undefined;
      if (!data || !isNewPlace(place)) this.counts.unreadable += 1;
      // A restored or replicated bucket has new times, but a revision is a time too.
      else if (Math.min(modifiedAt, data.revision / 1000) < this.#oldest) this.counts.tooOld += 1;
      else jobs.push({ place, data });
    }
    return jobs;
  }

  async #add(queue: JobQueue, lost: readonly LostJob[]): Promise<void> {
    await queue.refuseWhenFull();
    // New documents must get higher revisions than these.
    await queue.raiseRevision(Math.max(...lost.map(({ data }) => data.revision)));
    const reservations = await queue.reserve(
      lost.map(({ data }) => ({ queue: queueOf(data.kind), tenant: data.tenant, bytes: estimateBytes(0, 0) })),
    );
    const added = lost.map(async ({ place, data }, at) => {
      const reservation = reservations[at];
      if (!reservation || reservation instanceof SealdexError) {
        this.counts.backlogFull += 1;
        return;
      }
      await queue.add(place.jobId, data, reservation.priority);
      this.#count(data);
    });
    await Promise.all(added);
  }

  #count({ tenant }: DocumentJobData): void {
    this.counts.added += 1;
    this.#added.set(tenant, (this.#added.get(tenant) ?? 0) + 1);
  }
}

interface LostJob {
  readonly place: IntakePlace;
  readonly data: DocumentJobData;
}

/** Returns undefined for a kind of job that this version does not run. */
function dataOf({ tenant, corpus, revision, object, kind, intake }: IntakePlace): DocumentJobData | undefined {
  try {
    const data = parseJob({ v: 1, tenant, corpus, revision, kind, object, content: { intake } });
    return isOfDocument(data) ? data : undefined;
  } catch {
    return undefined;
  }
}
