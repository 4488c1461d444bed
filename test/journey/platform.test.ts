// Platform errors and long outages: the worker pauses, blames no tenant, loses nothing, and resumes automatically.
import { expect, test } from 'vitest';
import { startWorker, type RunningWorker } from '../../src/app/app.ts';
import { KMS_ERRORS, S3_ERRORS } from '@sealdex/local-aws';
import { redisKeys } from '../../src/runtime/redis.ts';
import { AheadClock } from '../support/ahead-clock.ts';
import { eventually } from '../support/eventually.ts';
import type { TestServices } from '../support/services.ts';
import { metricsOf, openInstallation, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';
import { startWorkerChild } from './worker-child.ts';

const MINUTE_MS = 60_000;

async function enqueue({ producer }: Installation, tenant: string, count: number): Promise<string[]> {
  const results = await producer.enqueueIndexBulk(
    Array.from({ length: count }, (_, index) => ({
      tenant,
      corpus: 'docs',
      document: documentOf(`${index}`, 'Text.'),
    })),
  );
  return results.map((result) => ('jobId' in result ? result.jobId : ''));
}

const readyz = async (port: number): Promise<string> =>
  (await (await fetch(`http://127.0.0.1:${port}/readyz`)).text()).trim();

const becomes = (port: number, text: string, move: () => unknown = () => {}): Promise<boolean> =>
  eventually(async () => {
    await move();
    return (await readyz(port)) === text;
  });

/** Advances the worker's clock, and promotes delayed jobs as Redis would. */
async function later({ queue }: Installation, clock: AheadClock): Promise<void> {
  clock.advance(2000);
  await Promise.allSettled((await queue.getDelayed(0, 100)).map((job) => job.promote()));
}

const gates = ({ redis, settings }: Installation): Promise<number> =>
  redis.exists(redisKeys(String(settings.SEALDEX_QUEUE)).gates);

/** No job in the queue has spent an attempt. */
async function expectNoAttempts({ queue }: Installation, count: number): Promise<void> {
  const jobs = await queue.getJobs(['delayed', 'prioritized', 'active', 'wait'], 0, 1000);
  expect(jobs).toHaveLength(count);
  expect(jobs.filter(({ attemptsMade }) => attemptsMade > 0)).toEqual([]);
}

interface Fault {
  readonly code: string;
  readonly breaks: (services: TestServices, platformKey: string) => void;
  /** The tenant with the affected jobs. */
  readonly tenant: 'acme' | 'free';
}

const FAULTS: Record<string, Fault> = {
  'a bucket without access': {
    code: 'PLATFORM_STORE',
    breaks: ({ s3 }) => s3.faults.set({ match: { method: 'PUT' }, fault: S3_ERRORS.accessDenied }),
    tenant: 'acme',
  },
  'a disabled platform key': {
    code: 'PLATFORM_KEY',
    breaks: ({ kms }, platformKey) => kms.disable(platformKey),
    tenant: 'free',
  },
  'expired credentials': {
    code: 'PLATFORM_CREDENTIALS',
    breaks: ({ kms }) => kms.faults.set({ fault: KMS_ERRORS.expiredCredentials }),
    tenant: 'acme',
  },
};

test.for(Object.entries(FAULTS))(
  '%s pauses the process: not ready, jobs handed back without attempts, one log line, and resumed after the fix',
  async ([, { code, breaks, tenant }]) => {
    await using installation = await openInstallation();
    const { services, settings } = installation;
    await installation.tenant('acme');
    await installation.operator.putTenant('free', { plan: 'free' });
    const jobs = await enqueue(installation, tenant, 20);
    await using worker = await startWorkerChild({ ...settings, SEALDEX_CONCURRENCY: 4 });
    const port = await worker.ready;
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
    const platformKey = String(settings.SEALDEX_PLATFORM_KEY_ARN);
    // Cached keys would hide the error for their hour: this tenant has none yet.
    const late = tenant === 'free' ? 'free-2' : 'globex';
    if (tenant === 'free') await installation.operator.putTenant(late, { plan: 'free' });
    else await installation.tenant(late);
    const hang = services.kms.faults.set({ match: { operation: 'Decrypt' }, fault: { kind: 'latency', ms: 300 } });
    // No job is taken before the error is injected.
    await installation.queue.pause();
    const held = await enqueue(installation, late, 20);
    breaks(services, platformKey);
    await installation.queue.resume();
    await becomes(port, `not ready: ${code}`);
    await eventually(async () => (await installation.operator.status()).index.active === 0);
    await expectNoAttempts(installation, held.length);
    hang.clear();
    services.kms.faults.clear();
    services.s3.faults.clear();
    services.kms.enable(platformKey);
    await becomes(port, 'ready');
    for (const job of held) expect(await installation.end(job)).toBe('done');
    expect(await gates(installation)).toBe(0);
    const lines = worker.log().filter(({ msg }) => String(msg).startsWith('platform '));
    expect(lines.map(({ level, code: logged }) => `${String(level)} ${String(logged)}`)).toHaveLength(2);
    expect(new Set(lines.map(({ code: logged }) => logged))).toEqual(new Set([code]));
  },
);

/** A worker in this process with a fake clock. */
async function worker(installation: Installation, clock: AheadClock): Promise<RunningWorker> {
  return startWorker({ ...installation.settings, SEALDEX_CONCURRENCY: 8 }, { host: '127.0.0.1', clock });
}

const OUTAGES: Record<string, { code: string; breaks: (services: TestServices) => void }> = {
  KMS: { code: 'KMS_FAILED', breaks: ({ kms }) => kms.faults.set({ fault: KMS_ERRORS.internal }) },
  S3: {
    code: 'STORE_FAILED',
    breaks: ({ s3 }) => s3.faults.set({ match: { method: 'PUT' }, fault: S3_ERRORS.internal }),
  },
};

test.for(Object.entries(OUTAGES))(
  'an outage of %s for an hour pauses the worker, creates no dead letter and changes no gate',
  async ([, { code, breaks }]) => {
    await using installation = await openInstallation();
    await installation.tenant('acme');
    await installation.tenant('globex');
    const jobs = [...(await enqueue(installation, 'acme', 20)), ...(await enqueue(installation, 'globex', 20))];
    const clock = new AheadClock();
    await using running = await worker(installation, clock);
    breaks(installation.services);
    await becomes(running.port, `not ready: ${code}`, () => later(installation, clock));
    // A running job would reach its own deadline when the clock advances.
    await eventually(async () => (await installation.operator.status()).index.active === 0);
    for (let minute = 0; minute < 60; minute += 1) clock.advance(MINUTE_MS);
    expect(await readyz(running.port)).toBe(`not ready: ${code}`);
    const left = await installation.queue.getJobs(['delayed', 'prioritized', 'active', 'wait'], 0, 1000);
    expect(left.length).toBeGreaterThan(0);
    await expectNoAttempts(installation, left.length);
    expect((await installation.operator.status()).index.dead).toBe(0);
    expect(await gates(installation)).toBe(0);
    installation.services.kms.faults.clear();
    installation.services.s3.faults.clear();
    await becomes(running.port, 'ready', () => later(installation, clock));
    // A job taken before the next read of the gates waits once more.
    await eventually(async () => {
      await later(installation, clock);
      const { waiting, active, delayed } = (await installation.operator.status()).index;
      return waiting + active + delayed === 0;
    });
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
    expect(await gates(installation)).toBe(0);
  },
);

test('KMS denials for many tenants pause the worker after three of them', async () => {
  await using installation = await openInstallation();
  const { kms } = installation.services;
  const tenants = Array.from({ length: 8 }, (_, index) => `tenant-${index}`);
  for (const tenant of tenants) await installation.tenant(tenant);
  const jobs = (await Promise.all(tenants.map((tenant) => enqueue(installation, tenant, 2)))).flat();
  const platformKey = String(installation.settings.SEALDEX_PLATFORM_KEY_ARN);
  for (const { arn } of kms.keys())
    if (arn !== platformKey) kms.faults.set({ match: { key: arn }, fault: KMS_ERRORS.accessDeniedByUs });
  await using running = await startWorker(
    { ...installation.settings, SEALDEX_CONCURRENCY: 1, SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 },
    { host: '127.0.0.1' },
  );
  await becomes(running.port, 'not ready: PLATFORM_DENIED (gates shut: 3)');
  await eventually(async () => (await installation.operator.status()).index.active === 0);
  expect((await installation.operator.status()).index.dead).toBe(0);
  kms.faults.clear();
  await becomes(running.port, 'ready');
  for (const job of jobs) expect(await installation.end(job)).toBe('done');
});

test('throttling parks no jobs; all finish once it stops', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  const jobs = await enqueue(installation, 'acme', 10);
  const throttled = installation.services.kms.faults.set({ fault: KMS_ERRORS.throttled });
  await using running = await startWorker(installation.settings, { host: '127.0.0.1' });
  await eventually(() => throttled.met >= 4);
  await eventually(async () => (await installation.operator.status()).index.delayed >= 5);
  expect(await readyz(running.port)).toBe('ready');
  expect(await gates(installation)).toBe(0);
  await expectNoAttempts(installation, 10);
  throttled.clear();
  for (const job of jobs) expect(await installation.end(job)).toBe('done');
  const outcomes = await metricsOf(running.port, 'sealdex_jobs_total');
  expect(Object.keys(outcomes).filter((name) => /park|pause|dead/.test(name))).toEqual([]);
});
