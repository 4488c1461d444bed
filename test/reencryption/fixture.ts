// The scene of re-encryption tests: a test takes jobs from the real queue, one by one, like workers that die at any step.
import { createReencryption, type Reencryption, type ReencryptionDeps } from '../../src/reencryption/reencryption.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { openQueue, type JobQueue } from '../../src/queue/bull/queues.ts';
import { writeStatusNote } from '../../src/queue/bull/status-notes.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { openRedis, queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { readAll } from '../../src/store/store.ts';
import { BackgroundGate } from '../../src/handlers/background-gate.ts';
import { changeTenantFile } from '../support/change-tenant-file.ts';
import { AheadClock } from '../support/ahead-clock.ts';
import { headerOf } from '../support/message.ts';
import { openInstallationRunner, type InstallationRunner } from '../journey/job-runner.ts';

export interface ReencryptionFixture extends AsyncDisposable {
  readonly runner: InstallationRunner;
  readonly clock: AheadClock;
  readonly deps: ReencryptionDeps & { readonly queue: JobQueue };
  readonly healthy: Reencryption;
  /**
   * A tenant with the given number of documents and a changed key, before re-encryption, long enough ago for every process
   * to have the change.
   */
  changed(tenant: string, documents: number, agoMs?: number): Promise<{ former: string; current: string }>;
  /** The tenant's jobs that wait in the queue. */
  waiting(tenant: string): Promise<string[]>;
  /** Runs a page's job like a worker; a dead one leaves the job in place. */
  run(jobId: string, reencryption?: Mortal): Promise<Outcome | 'died'>;
  /** Runs waiting jobs until there are none, from any start. */
  runAll(tenant: string, first?: Mortal): Promise<void>;
  /** The number of objects by key. */
  under(tenant: string): Promise<Record<string, number>>;
}

export interface Mortal {
  readonly reencryption: Reencryption;
  isDead(): boolean;
}

/** More pages than any test's pass has: an endless chain. */
const MOST_JOBS = 60;
const LONG_AGO_MS = 3_600_000;

export async function openReencryptionFixture(): Promise<ReencryptionFixture> {
  await using opened = new AsyncDisposableStack();
  const runner = opened.use(await openInstallationRunner());
  const { installation } = runner;
  const { store } = installation;
  const config = loadConfig(installation.settings, {});
  const clock = new AheadClock();
  const redis = opened.adopt(await openRedis(config, 'patient'), (redis) => redis.disconnect());
  const keys = redisKeys(config.queue);
  const queue = opened.adopt(openQueue(config, redis, systemClock), (queue) => queue.close());
  const deps = { queueName: config.queue, clock, redis, keys, queue, tenants: runner.deps.tenants, store };
  const healthy = createReencryption(deps);

  const waiting = async (tenant: string): Promise<string[]> =>
    (await installation.queue.getJobs(['prioritized', 'waiting', 'delayed']))
      .filter(({ data }) => (data as { tenant?: string }).tenant === tenant)
      .map(({ id = '' }) => id);

  const run: ReencryptionFixture['run'] = async (jobId, mortal) => {
    const job = await installation.queue.getJob(jobId);
    const outcome = await runner.handle(
      { id: jobId, data: job?.data },
      // Each in a separate process.
      { deps: { clock, reencryption: mortal?.reencryption ?? healthy, backgroundGate: new BackgroundGate(clock) } },
    );
    if (mortal?.isDead()) return 'died';
    if (outcome.kind !== 'done') return outcome;
    const state = outcome.superseded ? 'superseded' : 'done';
    await writeStatusNote(redis, queueKeys(keys, 'index'), clock, jobId, 60_000, { state });
    await job?.remove();
    return outcome;
  };
  const all = opened.move();
  return {
    runner,
    clock,
    deps,
    healthy,
    async changed(tenant, documents, agoMs = LONG_AGO_MS) {
      const former = await installation.tenant(tenant);
      for (let at = 0; at < documents; at += 1) {
        const job = await runner.forge({ tenant, keyArn: former });
        await runner.handle(job);
      }
      const current = installation.services.kms.createKey();
      const { file } = await changeTenantFile(installation.operator, tenant, {
        key: {
          entry: {
            change: 'key',
            id: '0123456789abcdef',
            at: clock.now() - agoMs,
            operator: 'o',
            from: former,
            to: current,
          },
          platformArns: new Set(),
        },
      });
      if (file.kmsKeyArn !== current) throw new Error('The key was not changed.');
      await runner.deps.tenants.fresh(tenant);
      return { former, current };
    },
    waiting,
    run,
    async runAll(tenant, first) {
      for (let jobs = 0; jobs < MOST_JOBS; jobs += 1) {
        const [jobId] = await waiting(tenant);
        if (jobId === undefined) return;
        await run(jobId, first?.isDead() ? undefined : first);
      }
      throw new Error('There is always one more job.');
    },
    async under(tenant) {
      const found: Record<string, number> = {};
      for (const { key } of (await store.list(`documents/${tenant}/`)).objects) {
        const stored = await store.get(key);
        const { arn } = await headerOf(await readAll(stored!));
        found[arn] = (found[arn] ?? 0) + 1;
      }
      return found;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const DIED = new Error('The process is dead.');

/**
 * Simulates a process that dies at a step: before or after its `step`th call to Redis, the queue, or S3, counted from 0. Its
 * later calls have no effect.
 */
export function mortal(deps: ReencryptionDeps, step: number, when: 'before' | 'after'): Mortal {
  let calls = 0;
  let isDead = false;
  const mortalOf = <T extends object>(thing: T): T =>
    new Proxy(thing, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function' || name === 'defineCommand') return value;
        return async (...args: unknown[]): Promise<unknown> => {
          const isLast = calls === step;
          calls += 1;
          if (isDead || (isLast && when === 'before')) {
            isDead = true;
            throw DIED;
          }
          const answer: unknown = await (value as (...args: unknown[]) => unknown).apply(target, args);
          if (isLast) {
            isDead = true;
            throw DIED;
          }
          return answer;
        };
      },
    });
  const { redis, queue, store, tenants } = deps;
  const reencryption = createReencryption({
    ...deps,
    redis: mortalOf(redis),
    queue: mortalOf(queue),
    store: mortalOf(store),
    tenants: mortalOf(tenants),
  });
  return { reencryption, isDead: () => isDead };
}
