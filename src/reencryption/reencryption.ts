// Re-encryption: moves a tenant's objects to its current KMS key in passes over all of them, with one job for each page.
// Tracks the current page, the start of the last pass, and the end. The jobs handle objects and keys.
// After a crash between two steps, the record names the current page, and any other page's job adds its job again.
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

/** One pass over all objects of a tenant, at one page. */
interface Pass {
  readonly tenant: string;
  /** Id of the key change that the pass belongs to. */
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
   * Starts a pass at the first object. A running pass ends with its current page.
   * @throws SealdexError `NOT_FOUND` for a tenant whose KMS key was never changed; `TENANT_CHANGED`, `TENANT_BACKLOG_FULL`
   */
  begin(tenant: string): Promise<void>;
  /**
   * Restarts the re-encryption if it is due but not running. Returns whether it did.
   * @throws SealdexError as `begin` and `Tenants.show`
   */
  restartStalled(tenant: string): Promise<boolean>;
  /**
   * Returns the pass if the job's page is the current one; else undefined, after adding a missing job for the current page.
   * @throws SealdexError `TENANT_BACKLOG_FULL`
   */
  passOf(job: ReencryptJobData & { readonly id: string }): Promise<Pass | undefined>;
  /**
   * Finishes the page: `next` is the key after which the next page begins, undefined after the last.
   * @throws SealdexError `TENANT_BACKLOG_FULL`
   */
  finishPage(pass: Pass, counts: PassCounts, next: string | undefined): Promise<void>;
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

/** States of a job that will continue the pass, or on which an operator decides. */
const EXISTING: ReadonlySet<JobState> = new Set(['queued', 'active', 'retrying', 'parked', 'dead']);

/** A start may lose against pages that finish concurrently. */
const TRIES = 5;

export function createReencryption(deps: ReencryptionDeps): Reencryption {
  const { queueName, clock, redis, keys, queue, tenants, store } = deps;
  const read = (tenant: string): Promise<LoadedRecord> => readRecord(redis, keys.reencryption(tenant));

  /** Replaces the record and adds the job of its page. Returns false if the record was changed concurrently. */
  async function continuePass(tenant: string, found: LoadedRecord, record: PassRecord): Promise<boolean> {
    const isReplaced = await replaceRecord(redis, keys.reencryption(tenant), found, record);
    await addPage(tenant, isReplaced ? record : (await read(tenant)).record);
    return isReplaced;
  }

  function beginAt(tenant: string, found: LoadedRecord, change: string, begun: number): Promise<boolean> {
    const pass = randomBytes(8).toString('hex');
    const page = pageOf(tenant, pass, undefined);
    return continuePass(tenant, found, { v: 1, change, pass, begun, counts: ZERO_COUNTS, page });
  }

  /** Adds the page's job, once for any number of calls. Returns false if it was added before. */
  async function addPage(tenant: string, record: PassRecord | undefined): Promise<boolean> {
    if (!record?.page) return false;
    const { id, after } = record.page;
    const marker = await queue.mark(id, { queue: 'index', tenant, bytes: estimateBytes(0, 0) });
    if (marker.kind === 'confirmed' || marker.state !== undefined) return false;
    const data: ReencryptJobData = { v: 1, kind: 'reencrypt', tenant, ...(after === undefined ? {} : { after }) };
    await queue.add(id, data, LAST_PRIORITY, { delayMs: Math.max(0, record.begun - clock.now()) });
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
      const isRunning = record?.change === reencryption.id && record.page !== undefined;
      if (!isRunning && (await readReencrypted(store, queueName, tenant))?.change === reencryption.id) return false;
      if (isRunning && record.page) {
        if (EXISTING.has((await queue.status(record.page.id)).state)) return false;
        if (await addPage(tenant, record)) return true;
      }
      return beginAt(tenant, found, reencryption.id, clock.now());
    },

    async passOf({ id, tenant }) {
      const { text, record } = await read(tenant);
      if (record?.page?.id === id)
        return { tenant, change: record.change, begun: record.begun, found: { text, record } };
      // The process that made that page current may have died before it added the job.
      await addPage(tenant, record);
      return undefined;
    },

    async finishPage({ tenant, change, begun, found }, counts, next) {
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
      // Before the record: after a crash in between, the page and this write are repeated.
      await writeReencrypted(store, queueName, tenant, { change, at: clock.now(), left: sum.unreadable });
      await continuePass(tenant, found, { ...pass, counts: sum });
    },

    async progress(tenant) {
      const { reencryption, deleted } = await tenants.show(tenant);
      if (!reencryption || deleted) return { state: 'none' };
      const { id, since } = reencryption;
      const about = { since, settledAt: since + SETTLED_MS };
      const { record } = await read(tenant);
      const isCurrent = record?.change === id;
      const jobId = isCurrent ? record.page?.id : undefined;
      const pass = isCurrent
        ? { passBegun: record.begun, counts: record.counts, ...(jobId === undefined ? {} : { jobId }) }
        : {};
      // A pass may have been started again after the end.
      if (jobId !== undefined) return { state: 'moving', ...about, ...pass };
      const ended = await readReencrypted(store, queueName, tenant);
      if (ended?.change !== id) return { state: isCurrent ? 'moving' : 'not begun', ...about, ...pass };
      const queued = Number((await runCommand(redis.hget(keys.backlogJobs, tenant))) ?? 0);
      return { state: 'done', ...about, doneAt: ended.at, left: ended.left, queued, ...pass };
    },
  };
}

function pageOf(tenant: string, pass: string, after: string | undefined): Page {
  const id = newJobId({ tenant, corpus: pass, kind: 'reencrypt', idempotencyKey: after ?? '' });
  return after === undefined ? { id } : { id, after };
}
