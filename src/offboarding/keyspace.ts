// Redis data of a deleted tenant: scans all keys of the installation, and removes its jobs and the keys that contain its name.
// Values inside shared keys are removed by the modules that own them.
import { deleteGates } from '../parking/delete-gates.ts';
import { removeTenantJob, tenantJobs } from '../queue/bull/tenant-jobs.ts';
import { deleteQueueState } from '../queue/bull/tenant-state.ts';
import type { Clock } from '../runtime/clock.ts';
import { runCommand, keysNaming, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { deleteSweepState } from '../maintenance/delete-sweep-state.ts';
import type { ObjectCounts } from './object-counts.ts';
import type { PassOptions } from './objects.ts';

export interface KeyspaceDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly config: { readonly queue: string };
}

export interface RemovalDeps extends KeyspaceDeps {
  readonly clock: Clock;
  readonly config: { readonly queue: string; readonly probeMinMs: number; readonly probeMaxMs: number };
}

const SCANNED = 1000;
const CONCURRENCY = 50;

const patternOf = (name: string): RegExp =>
  new RegExp(
    `^${name
      .split('*')
      .map((text) => text.replaceAll(/[.*+?^$(){}|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  );

/** With `keepsGates`, gates stay shut. @throws SealdexError `REDIS_FAILED` */
export async function removeFromRedis(
  deps: RemovalDeps,
  tenant: string,
  found: ObjectCounts,
  options: PassOptions & { readonly keepsGates: boolean },
): Promise<void> {
  const { redis, keys, clock, config } = deps;
  const { isDry, keepsGates, signal } = options;
  const naming = keysNaming(config.queue, tenant).map(patternOf);
  for await (const names of pagesOf(deps, signal)) {
    await removeJobs(deps, tenant, names, found, options);
    const own = names.filter((name) => naming.some((pattern) => pattern.test(name)));
    found.counts.traces += own.length === 0 || isDry ? own.length : await runCommand(redis.unlink(...own));
  }
  found.counts.traces += await deleteQueueState(redis, keys, tenant, isDry);
  found.counts.traces += await deleteSweepState(redis, keys, tenant, isDry);
  if (!keepsGates) found.counts.traces += await deleteGates({ redis, keys, clock, times: config }, tenant, isDry);
}

/** Counts the tenant's jobs for documents, and separately its dead letters. @throws SealdexError `REDIS_FAILED` */
export async function countDocumentJobs(
  deps: KeyspaceDeps,
  tenant: string,
  signal?: AbortSignal,
): Promise<{ jobs: number; letters: number }> {
  const { redis, keys } = deps;
  const counts = { jobs: 0, letters: 0 };
  for await (const names of pagesOf(deps, signal)) {
    const jobs = (await tenantJobs(redis, keys, tenant, names)).filter(({ kind }) => kind !== 'reencrypt');
    for (let from = 0; from < jobs.length; from += CONCURRENCY) {
      const batch = jobs.slice(from, from + CONCURRENCY);
      for (const end of await Promise.all(batch.map((job) => removeTenantJob(redis, keys, job, true))))
        if (end !== 'gone') counts[end === 'letter' ? 'letters' : 'jobs'] += 1;
    }
  }
  return counts;
}

/** Names of all keys of the installation, in pages; a name may be in two pages. */
async function* pagesOf({ redis, keys }: KeyspaceDeps, signal: AbortSignal | undefined): AsyncGenerator<string[]> {
  let cursor = '0';
  do {
    signal?.throwIfAborted();
    const [next, page] = await runCommand(redis.scan(cursor, 'MATCH', `${keys.prefix}:*`, 'COUNT', SCANNED));
    yield [...new Set(page)];
    cursor = next;
  } while (cursor !== '0');
}

async function removeJobs(
  { redis, keys }: KeyspaceDeps,
  tenant: string,
  names: readonly string[],
  found: ObjectCounts,
  { isDry, signal, onProgress }: PassOptions,
): Promise<void> {
  const jobs = await tenantJobs(redis, keys, tenant, names);
  for (let from = 0; from < jobs.length; from += CONCURRENCY) {
    signal?.throwIfAborted();
    const batch = jobs.slice(from, from + CONCURRENCY);
    for (const end of await Promise.all(batch.map((job) => removeTenantJob(redis, keys, job, isDry)))) {
      if (end === 'busy') found.busy += 1;
      else if (end !== 'gone') found.counts[end === 'job' ? 'jobs' : 'letters'] += 1;
    }
    onProgress?.(found);
  }
}
