// Re-encryption: a tenant's objects move to its current KMS key, in passes over all of them, a job for each page of a pass.
// Who takes part in a pass, when the last one may begin, and that it has ended. Objects and keys are the jobs' business.
// Whatever dies between two steps: the record says whose turn it is, and each job that is not sees that that one has a job.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { newJobId, type ReencryptJobData } from '../jobs/jobs.ts';
import { estimateBytes } from '../queue/backlog/backlog.ts';
import { LAST_PRIORITY } from '../queue/fair-share/fair-share.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { JobState } from '../queue/bull/job-lookup.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import {
  ZERO_COUNTS,
  readRecord,
  replaceRecord,
  sumOf,
  type LoadedRecord,
  type Page,
  type PassCounts,
  type PassRecord,
} from './record.ts';
import type { Store } from '../store/store.ts';
import { readReencrypted, writeReencrypted } from '../store/reencrypted.ts';
import { SETTLED_MS, type Tenants } from '../tenants/tenants.ts';

export type { PassCounts } from './record.ts';

/** One pass over all objects of a tenant, at a page of it. */
interface Pass {
  readonly tenant: string;
  /** Of the key change that it moves the objects after. */
  readonly change: string;
  /** Wall clock, milliseconds: when the first page may be listed. */
  readonly begun: number;
  readonly found: LoadedRecord & { readonly record: PassRecord };
}

/** Progress of the re-encryption after a change of a tenant's KMS key. */
export interface ReencryptionProgress {
  /** `none`: the key was never changed. `not begun`, `moving` and `done`: state of the current pass. */
  readonly state: 'none' | 'not begun' | 'moving' | 'done';
  /** Time of the key change: Unix time in milliseconds. */
  readonly since?: number;
  /** Time at which the pass begins or began: Unix time in milliseconds. */
  readonly passBegun?: number;
  /** Time at which the pass was done: Unix time in milliseconds. */
  readonly doneAt?: number;
  /** Objects visited so far, by result. */
  readonly counts?: PassCounts;
  /** After the pass: number of objects that could not be read and stay under the former key. */
  readonly left?: number;
  /** Time after which no process uses the former key for new data: Unix time in milliseconds. */
  readonly settledAt?: number;
  /** Number of the tenant's jobs in the queue (waiting, parked or dead). Their inline content is not re-encrypted. */
  readonly queued?: number;
  /** Job of the next page; its status shows why the pass does not advance. */
  readonly jobId?: string;
}

export interface Reencryption {
  /**
   * Begins a pass at the first object; one that goes on ends with its page.
   * @throws SealdexError `NOT_FOUND` for a tenant whose KMS key was never changed; `TENANT_CHANGED`, `TENANT_BACKLOG_FULL`
   */
  begin(tenant: string): Promise<void>;
  /**
   * Lets the objects move where they have to and do not. Answers whether it had to.
   * @throws SealdexError as `begin` and `Tenants.show`
   */
  restartStalled(tenant: string): Promise<boolean>;
  /**
   * The pass whose turn the job's page is; undefined when it is not, and then another page's.
   * @throws SealdexError `TENANT_BACKLOG_FULL`
   */
  passOf(job: ReencryptJobData & { readonly id: string }): Promise<Pass | undefined>;
  /**
   * The page is done: `next` is where the following one begins, undefined after the last.
   * @throws SealdexError `TENANT_BACKLOG_FULL`
   */
  turn(pass: Pass, counts: PassCounts, next: string | undefined): Promise<void>;
  progress(tenant: string): Promise<ReencryptionProgress>;
}

export interface ReencryptionDeps {
  readonly queueName: string;
  readonly clock: Clock;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly queue: Pick<JobQueue, 'mark' | 'add' | 'confirm' | 'status'>;
  readonly tenants: Pick<Tenants, 'fresh' | 'show'>;
  readonly store: Store;
}

/** A job that will move objects, or that an operator sees and decides on. */
const LIVES: ReadonlySet<JobState> = new Set(['queued', 'active', 'retrying', 'parked', 'dead']);

/** Pages end while somebody begins anew. */
const TRIES = 5;

export function createReencryption(deps: ReencryptionDeps): Reencryption {
  const { queueName, clock, redis, keys, queue, tenants, store } = deps;
  const read = (tenant: string): Promise<LoadedRecord> => readRecord(redis, keys.reencryption(tenant));

  /** Answers whether nobody else has gone on from there. */
  async function continuePass(tenant: string, found: LoadedRecord, record: PassRecord): Promise<boolean> {
    const isOurs = await replaceRecord(redis, keys.reencryption(tenant), found, record);
    await addPage(tenant, isOurs ? record : (await read(tenant)).record);
    return isOurs;
  }

  function beginAt(tenant: string, found: LoadedRecord, change: string, begun: number): Promise<boolean> {
    const pass = randomBytes(8).toString('hex');
    const page = pageOf(tenant, pass, undefined);
    return continuePass(tenant, found, { v: 1, change, pass, begun, counts: ZERO_COUNTS, page });
  }

  /** One job for a page, whoever adds it and how often. False for one that was in the queue before. */
  async function addPage(tenant: string, record: PassRecord | undefined): Promise<boolean> {
    if (!record?.page) return false;
    const { id, after } = record.page;
    const marker = await queue.mark(id, { queue: 'index', tenant, bytes: estimateBytes(0, 0) });
    if (marker.kind === 'confirmed' || marker.state !== undefined) return false;
    const data: ReencryptJobData = { v: 1, kind: 'reencrypt', tenant, ...(after === undefined ? {} : { after }) };
    await queue.add(id, data, LAST_PRIORITY, Math.max(0, record.begun - clock.now()));
    await queue.confirm(id);
    return true;
  }

  return {
    async begin(tenant) {
      const { reencryption } = await tenants.fresh(tenant);
      if (!reencryption)
        throw new SealdexError(
          'NOT_FOUND',
          `The KMS key of tenant ${tenant} never changed; there is nothing to re-encrypt.`,
        );
      for (let tries = 0; tries < TRIES; tries += 1)
        if (await beginAt(tenant, await read(tenant), reencryption.id, clock.now())) return;
      throw new SealdexError(
        'TENANT_CHANGED',
        `The re-encryption of tenant ${tenant} changed concurrently. Try again.`,
      );
    },

    async restartStalled(tenant) {
      const { reencryption, deleted } = await tenants.show(tenant);
      if (!reencryption || deleted) return false;
      const found = await read(tenant);
      const { record } = found;
      const isUnderWay = record?.change === reencryption.id && record.page !== undefined;
      if (!isUnderWay && (await readReencrypted(store, queueName, tenant))?.change === reencryption.id) return false;
      if (isUnderWay && record.page) {
        if (LIVES.has((await queue.status(record.page.id)).state)) return false;
        if (await addPage(tenant, record)) return true;
      }
      return beginAt(tenant, found, reencryption.id, clock.now());
    },

    async passOf({ id, tenant }) {
      const { text, record } = await read(tenant);
      if (record?.page?.id === id)
        return { tenant, change: record.change, begun: record.begun, found: { text, record } };
      // Whoever gave that one the turn may have died before it had a job.
      await addPage(tenant, record);
      return undefined;
    },

    async turn({ tenant, change, begun, found }, counts, next) {
      const { page: _done, ...pass } = found.record;
      const sum = sumOf(pass.counts, counts);
      if (next !== undefined) {
        await continuePass(tenant, found, { ...pass, counts: sum, page: pageOf(tenant, pass.pass, next) });
        return;
      }
      const { reencryption } = await tenants.fresh(tenant);
      if (reencryption?.id !== change) return;
      const safe = reencryption.since + SETTLED_MS;
      if (begun < safe) {
        await beginAt(tenant, found, change, Math.max(safe, clock.now()));
        return;
      }
      // First: who dies after it does the page again, and says so again.
      await writeReencrypted(store, queueName, tenant, { change, at: clock.now(), left: sum.unreadable });
      await continuePass(tenant, found, { ...pass, counts: sum });
    },

    async progress(tenant) {
      const { reencryption, deleted } = await tenants.show(tenant);
      if (!reencryption || deleted) return { state: 'none' };
      const { id, since } = reencryption;
      const about = { since, settledAt: since + SETTLED_MS };
      const { record } = await read(tenant);
      const isMine = record?.change === id;
      const jobId = isMine ? record.page?.id : undefined;
      const pass = isMine
        ? { passBegun: record.begun, counts: record.counts, ...(jobId === undefined ? {} : { jobId }) }
        : {};
      // One that was begun anew after the end is not over.
      if (jobId !== undefined) return { state: 'moving', ...about, ...pass };
      const ended = await readReencrypted(store, queueName, tenant);
      if (ended?.change !== id) return { state: isMine ? 'moving' : 'not begun', ...about, ...pass };
      const queued = Number((await runCommand(redis.hget(keys.backlogJobs, tenant))) ?? 0);
      return { state: 'done', ...about, doneAt: ended.at, left: ended.left, queued, ...pass };
    },
  };
}

function pageOf(tenant: string, pass: string, after: string | undefined): Page {
  const id = newJobId({ tenant, corpus: pass, kind: 'reencrypt', idempotencyKey: after ?? '' });
  return after === undefined ? { id } : { id, after };
}
