// Re-encryption: a tenant's objects move to its current KMS key, in passes over all of them, a job for each page of a pass.
// Who takes part in a pass, when the last one may begin, and that it has ended. Objects and keys are the jobs' business.
import type { Clock } from './clock.ts';
import { SealdexError } from './errors.ts';
import { newJobId, type ReencryptJobData } from './jobs.ts';
import { estimateBytes } from './queue/backlog.ts';
import { LAST_PRIORITY } from './queue/fair-share.ts';
import type { JobQueue } from './queue/queues.ts';
import { ask, type Redis, type RedisKeys } from './redis.ts';
import type { Store } from './store/s3.ts';
import { readReencrypted, writeReencrypted } from './store/reencrypted.ts';
import type { Tenants } from './tenants.ts';

/**
 * After a change of the key nothing is encrypted under the former one by anybody who has not seen it: for 5 minutes a
 * process may have the tenant's file cached, for 5 minutes more a job or an upload that began with it may run, and clocks
 * may differ by one. Only what is listed later is all that there will ever be.
 */
const SEEN_MS = 900_000;

/** One pass over all objects of a tenant. */
export interface Pass {
  /** Of the key change that it moves the objects after. */
  readonly change: string;
  readonly number: number;
  /** Wall clock, milliseconds: when the first page may be listed. */
  readonly begun: number;
}

/** Objects of a pass so far, by what became of them. */
export interface PassCounts {
  /** Under the current key already. */
  readonly current: number;
  readonly moved: number;
  /** Written or deleted by somebody else meanwhile. */
  readonly changed: number;
  /** Not to be read: they stay under the key that they are under. */
  readonly unreadable: number;
}

export interface ReencryptionProgress {
  readonly state: 'none' | 'not begun' | 'moving' | 'done';
  /** When the key was changed, when the pass began or will begin, and when all was done: wall clock, milliseconds. */
  readonly since?: number;
  readonly passBegun?: number;
  readonly doneAt?: number;
  readonly counts?: PassCounts;
  /** The page that comes next; its job tells why nothing moves. */
  readonly jobId?: string;
}

export interface Reencryption {
  /**
   * Begins a pass at the first object; one that goes on ends with its page.
   * @throws SealdexError `NOT_FOUND` for a tenant whose KMS key was never changed; `TENANT_BACKLOG_FULL`
   */
  begin(tenant: string): Promise<void>;
  /** The pass that the job is a page of; undefined when that one is over. */
  passOf(job: ReencryptJobData & { readonly id: string }): Promise<Pass | undefined>;
  /** A page is done: `next` is where the following one begins, undefined after the last. @throws SealdexError `TENANT_BACKLOG_FULL` */
  turn(tenant: string, pass: Pass, counts: PassCounts, next: string | undefined): Promise<void>;
  progress(tenant: string): Promise<ReencryptionProgress>;
}

export interface ReencryptionDeps {
  readonly queueName: string;
  readonly clock: Clock;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly queue: Pick<JobQueue, 'mark' | 'add' | 'confirm'>;
  readonly tenants: Pick<Tenants, 'fresh'>;
  readonly store: Store;
}

const COUNTED = ['current', 'moved', 'changed', 'unreadable'] as const;

export function createReencryption(deps: ReencryptionDeps): Reencryption {
  const { queueName, clock, redis, keys, tenants, store } = deps;

  async function read(tenant: string): Promise<{ pass: Pass; counts: PassCounts; page: string } | undefined> {
    const { change, pass, begun, page = '', ...counted } = await ask(redis.hgetall(keys.reencryption(tenant)));
    if (change === undefined) return undefined;
    const [current, moved, changed, unreadable] = COUNTED.map((name) => Number(counted[name] ?? 0));
    return {
      pass: { change, number: Number(pass), begun: Number(begun) },
      counts: { current: current!, moved: moved!, changed: changed!, unreadable: unreadable! },
      page,
    };
  }

  async function beginAt(tenant: string, change: string, begun: number): Promise<void> {
    const key = keys.reencryption(tenant);
    const number = await ask(redis.hincrby(key, 'pass', 1));
    const zeros = COUNTED.flatMap((name) => [name, 0]);
    await ask(redis.hset(key, 'change', change, 'begun', begun, 'page', '', ...zeros));
    await addPage(tenant, { change, number, begun }, undefined);
  }

  /** One job for a page, whoever adds it and how often. */
  async function addPage(tenant: string, pass: Pass, after: string | undefined): Promise<void> {
    const data: ReencryptJobData = { v: 1, kind: 'reencrypt', tenant, ...(after === undefined ? {} : { after }) };
    const id = pageId(tenant, pass, after);
    const marker = await deps.queue.mark(id, { queue: 'index', tenant, bytes: estimateBytes(0, 0) });
    if (marker.kind === 'confirmed' || marker.state !== undefined) return;
    await deps.queue.add(id, data, LAST_PRIORITY, Math.max(0, pass.begun - clock.now()));
    await ask(redis.hset(keys.reencryption(tenant), 'page', id));
    await deps.queue.confirm(id);
  }

  return {
    async begin(tenant) {
      const { reencryption } = await tenants.fresh(tenant);
      if (!reencryption)
        throw new SealdexError(
          'NOT_FOUND',
          `The KMS key of tenant ${tenant} was never changed: nothing is to be moved.`,
        );
      await beginAt(tenant, reencryption.id, clock.now());
    },

    async passOf({ id, tenant, after }) {
      const found = await read(tenant);
      if (!found) return undefined;
      if (pageId(tenant, found.pass, after) === id) return found.pass;
      // Whoever began the pass that goes on now may have died before it had a page.
      if (found.page === '') await addPage(tenant, found.pass, undefined);
      return undefined;
    },

    async turn(tenant, pass, counts, next) {
      // First: a page that is done twice is counted twice, and what is left is never told too small.
      const adding = redis.multi();
      for (const name of COUNTED) adding.hincrby(keys.reencryption(tenant), name, counts[name]);
      await ask(adding.exec());
      if (next !== undefined) return addPage(tenant, pass, next);
      const { reencryption } = await tenants.fresh(tenant);
      if (reencryption?.id !== pass.change) return;
      const safe = reencryption.since + SEEN_MS;
      if (pass.begun < safe) return beginAt(tenant, pass.change, Math.max(safe, clock.now()));
      const { unreadable } = (await read(tenant))?.counts ?? counts;
      await writeReencrypted(store, queueName, tenant, { change: pass.change, at: clock.now(), left: unreadable });
    },

    async progress(tenant) {
      const { reencryption } = await tenants.fresh(tenant);
      if (!reencryption) return { state: 'none' };
      const { id, since } = reencryption;
      const found = await read(tenant);
      const ended = await readReencrypted(store, queueName, tenant);
      const isMine = found?.pass.change === id;
      const pass = isMine ? { passBegun: found.pass.begun, counts: found.counts, jobId: found.page } : {};
      if (ended?.change === id) return { state: 'done', since, doneAt: ended.at, ...pass };
      return { state: isMine ? 'moving' : 'not begun', since, ...pass };
    },
  };
}

const pageId = (tenant: string, { change, number }: Pass, after = ''): string =>
  newJobId({ tenant, corpus: change, kind: 'reencrypt', idempotencyKey: `${number} ${after}` });
