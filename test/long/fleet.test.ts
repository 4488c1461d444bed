// Three worker processes and one gate: they agree, regardless of its changes, and one frozen meanwhile does no harm.
import { expect, test } from 'vitest';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { KMS_ERRORS } from '@sealdex/local-aws';
import type { Gate } from '../../src/parking/gate-record.ts';
import { readGate } from '../../src/parking/gate-storage.ts';
import { queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation, squeezed, textOf, type Installation } from '../journey/installation.ts';
import { documentOf } from '../support/documents.ts';
import { startWorkerChild, type WorkerChild } from '../journey/worker-child.ts';

/** Probes come soon, so that the test does not wait for them. */
const SOON: Settings = { SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600, SEALDEX_CONCURRENCY: 1 };

const gateOf = (installation: Installation, arn: string): Promise<Gate> =>
  readGate(installation.redis, redisKeys(String(installation.settings.SEALDEX_QUEUE)), gateId(keyRef('acme', arn)));

const becomes = (installation: Installation, arn: string, state: string): Promise<Gate> =>
  eventually(async () => {
    const gate = await gateOf(installation, arn);
    return gate.record?.state === state && gate;
  });

const readyz = async (worker: WorkerChild): Promise<string> =>
  (await (await fetch(`http://127.0.0.1:${await worker.ready}/readyz`)).text()).trim();

const agree = (workers: readonly WorkerChild[], text: string): Promise<boolean> =>
  eventually(async () => {
    for (const worker of workers) expect(await readyz(worker)).toBe(text);
    return true;
  });

async function enqueue({ producer }: Installation, id: string, text = 'Text.'): Promise<string> {
  return (await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf(id, text) })).jobId;
}

const decrypts = ({ services: { kms } }: Installation, key: string): number =>
  kms.counts.count({ operation: 'Decrypt', key });

/** The process with an active job. */
const busy = (workers: readonly WorkerChild[]): Promise<WorkerChild> =>
  eventually(async () => {
    for (const worker of workers) {
      const { sealdex_jobs_active: active } = await metricsOf(await worker.ready, 'sealdex_jobs_active');
      if (active === 1) return worker;
    }
    return undefined;
  });

/** Frozen as long as the others need, so that the outdated KMS error is still delivered before its timeout. */
test('a process frozen while others shut and open the gate changes nothing with its old state', async () => {
  await using installation = await openInstallation(SOON);
  const { kms } = installation.services;
  const arn = await installation.tenant('acme');
  await using workers = new AsyncDisposableStack();
  const fleet = await Promise.all(
    [1, 2, 3].map(async () => workers.use(await startWorkerChild(installation.settings))),
  );
  await agree(fleet, 'ready');

  // One calls KMS and is frozen there: a denial is on its way to it.
  const decryptCalls = { key: arn, operation: 'Decrypt' } as const;
  const hang = kms.faults.set({ match: decryptCalls, fault: { kind: 'hang' }, times: 1 });
  const denial = kms.faults.set({ match: decryptCalls, fault: KMS_ERRORS.accessDenied, times: 1 });
  const first = await enqueue(installation, 'first');
  await eventually(() => hang.waiting === 1);
  const frozen = await busy(fleet);
  frozen.kill('SIGSTOP');
  const others = fleet.filter((worker) => worker !== frozen);
  kms.disable(arn);
  hang.clear();
  const later = await enqueue(installation, 'later');
  await becomes(installation, arn, 'shut');
  await agree(others, 'ready (gates shut: 1)');
  kms.enable(arn);
  const open = await becomes(installation, arn, 'open');
  expect(await installation.end(later)).toBe('done');
  expect(denial.met).toBe(1);

  frozen.kill('SIGCONT');
  // It has received the denial, and could not park its job at an open gate.
  expect(await installation.end(first)).toBe('done');
  expect(await gateOf(installation, arn)).toEqual(open);
  await agree(fleet, 'ready');
  expect((await installation.operator.status()).index).toMatchObject({ waiting: 0, active: 0, delayed: 0, dead: 0 });
  for (const worker of fleet) worker.kill('SIGTERM');
  for (const worker of fleet) expect(await worker.exited).toEqual({ code: 0, signal: null });
});

const FROZEN_MS = 60_000;

/** Too large for the queue: it waits in S3. */
const LARGE = 'Text of some size. '.repeat(400);

/** The sum of the metrics with this name in one process. */
async function sum(worker: WorkerChild, name: string): Promise<number> {
  return Object.values(await metricsOf(await worker.ready, name)).reduce((total, count) => total + count, 0);
}

const keyHits = (worker: WorkerChild): Promise<number> => sum(worker, 'sealdex_key_uses_total{result="hit"}');

const writes = ({ services: { s3 } }: Installation): number =>
  s3.requests.count({ method: 'PUT', prefix: 'documents/' });

const isParked = (installation: Installation, job: string): Promise<boolean> =>
  eventually(async () => (await installation.producer.status(job)).state === 'parked');

/** A process with a cached data key, stopped while its job's content is on its way. */
async function freezeOne(installation: Installation, frozen: WorkerChild): Promise<{ first: string; hits: number }> {
  expect(await installation.end(await enqueue(installation, 'warm'))).toBe('done');
  const content = { match: { method: 'GET', prefix: 'intake/' }, fault: { kind: 'hang' }, times: 1 } as const;
  const hang = installation.services.s3.faults.set(content);
  const first = await enqueue(installation, 'first', LARGE);
  await eventually(() => hang.waiting === 1);
  expect(await sum(frozen, 'sealdex_keys_in_memory')).toBe(1);
  const hits = await keyHits(frozen);
  frozen.kill('SIGSTOP');
  hang.clear();
  return { first, hits };
}

/** Shuts the gate although all may have the data key cached: the content of this job is under a new one. */
async function shutAgain(installation: Installation, arn: string): Promise<string> {
  await installation.queue.pause();
  const shared = await installation.redis.keys(
    `${redisKeys(String(installation.settings.SEALDEX_QUEUE)).prefix}:keys:*`,
  );
  await installation.redis.del(...shared);
  const job = await enqueue(installation, 'second');
  installation.services.kms.disable(arn);
  await installation.queue.resume();
  await becomes(installation, arn, 'shut');
  await isParked(installation, job);
  return job;
}

/** Fields of a shut gate that no probe changes; each probe raises the epoch by one. */
const unprobed = ({ epoch, record }: Gate): object => {
  const { state, code, since, probes = 0 } = record ?? {};
  return { state, code, since, epoch: epoch - probes };
};

/**
 * A whole minute differs from seconds: with a lock of 20 s and a check for stalled jobs every 10 s, others have taken the
 * frozen process' job and finished it. When it continues, the deadlines of its own calls have passed too, and its view of
 * the gates is older than the 5 s limit.
 */
test('a process frozen for a minute, while the gate is shut, opened and shut, uses no earlier key', async () => {
  await using installation = await openInstallation(SOON);
  const { kms } = installation.services;
  const arn = await installation.tenant('acme');
  await using workers = new AsyncDisposableStack();
  const frozen = workers.use(await startWorkerChild(installation.settings));
  const { first, hits } = await freezeOne(installation, frozen);
  const frozenAt = systemClock.monotonic();
  kms.disable(arn);
  const others = await Promise.all([1, 2].map(async () => workers.use(await startWorkerChild(installation.settings))));

  // Its lock expires: another process takes its job, finds the disabled key and parks it.
  await becomes(installation, arn, 'shut');
  await isParked(installation, first);
  expect((await installation.queue.getJob(first))?.attemptsMade).toBe(0);
  await agree(others, 'ready (gates shut: 1)');
  kms.enable(arn);
  await becomes(installation, arn, 'open');
  expect(await installation.end(first)).toBe('done');
  const second = await shutAgain(installation, arn);
  const written = writes(installation);
  const shut = unprobed(await gateOf(installation, arn));
  await eventually(async () => {
    expect(unprobed(await gateOf(installation, arn))).toEqual(shut);
    return systemClock.monotonic() - frozenAt >= FROZEN_MS;
  });

  // Only this process takes the next job.
  for (const other of others) other.kill('SIGSTOP');
  const third = await enqueue(installation, 'third');
  frozen.kill('SIGCONT');
  await isParked(installation, third);
  for (const other of others) other.kill('SIGCONT');
  await eventually(async () => (await sum(frozen, 'sealdex_jobs_active')) === 0);
  await agree([frozen, ...others], 'ready (gates shut: 1)');
  expect(unprobed(await gateOf(installation, arn))).toEqual(shut);
  expect([await keyHits(frozen), await sum(frozen, 'sealdex_keys_in_memory')]).toEqual([hits, 0]);
  expect(writes(installation)).toBe(written);
  expect(await installation.queue.getJob(first)).toBeUndefined();

  kms.enable(arn);
  for (const job of [second, third]) expect(await installation.end(job)).toBe('done');
  await becomes(installation, arn, 'open');
  await expectNoHarm(installation, [frozen, ...others], gateId(keyRef('acme', arn)));
});

/** No job is left or dead or has spent an attempt, and the stored documents equal the sent ones. */
async function expectNoHarm(installation: Installation, fleet: readonly WorkerChild[], gate: string): Promise<void> {
  await agree(fleet, 'ready');
  expect((await installation.operator.status()).index).toMatchObject({ waiting: 0, active: 0, delayed: 0, dead: 0 });
  expect(
    await installation.redis.zcard(
      queueKeys(redisKeys(String(installation.settings.SEALDEX_QUEUE)), 'index').parked(gate),
    ),
  ).toBe(0);
  expect(await textOf(installation.reader, 'acme', 'docs', 'first')).toContain(squeezed(LARGE));
  const met = new Set<string | undefined>();
  for (const worker of fleet)
    for (const line of Object.keys(await metricsOf(await worker.ready, 'sealdex_job_failures_total')))
      met.add(/code="(\w+)"/.exec(line)?.[1]);
  const spendNone = new Set<string | undefined>(['KEY_DISABLED', 'STORE_FAILED', 'REDIS_FAILED', 'GATE_UNKNOWN']);
  expect([...met].filter((code) => !spendNone.has(code))).toEqual([]);
  for (const worker of fleet) worker.kill('SIGTERM');
  for (const worker of fleet) expect(await worker.exited).toEqual({ code: 0, signal: null });
}

test('three processes agree on one gate, and probe its key no more often than one would', async () => {
  await using installation = await openInstallation({
    ...SOON,
    SEALDEX_PROBE_MIN_MS: 1000,
    SEALDEX_PROBE_MAX_MS: 3000,
  });
  const { kms } = installation.services;
  const arn = await installation.tenant('acme');
  kms.disable(arn);
  const jobs = await Promise.all(Array.from({ length: 12 }, (_, index) => enqueue(installation, `document ${index}`)));
  await using workers = new AsyncDisposableStack();
  const fleet = await Promise.all(
    [1, 2, 3].map(async () => workers.use(await startWorkerChild(installation.settings))),
  );
  await agree(fleet, 'ready (gates shut: 1)');
  await eventually(async () => (await installation.operator.status()).index.delayed === jobs.length);
  const atShutting = decrypts(installation, arn);
  expect(atShutting).toBeLessThanOrEqual(fleet.length);
  const { record } = await eventually(async () => {
    const gate = await gateOf(installation, arn);
    return (gate.record?.probes ?? 0) >= 3 && gate;
  });
  const calls = kms.counts.count({ operation: 'GenerateDataKey', key: arn, result: 'DisabledException' });
  expect(calls).toBeLessThanOrEqual((record?.probes ?? 0) + 1);
  // Parked jobs cost no calls.
  expect(decrypts(installation, arn)).toBe(atShutting);
  let probes = 0;
  for (const worker of fleet)
    for (const count of Object.values(await metricsOf(await worker.ready, 'sealdex_probes_total'))) probes += count;
  expect(probes).toBeLessThanOrEqual((await gateOf(installation, arn)).record?.probes ?? 0);
  kms.enable(arn);
  for (const job of jobs) expect(await installation.end(job)).toBe('done');
  await agree(fleet, 'ready');
});
