// Three worker processes and one gate: they agree, however often it changes, and one that was frozen meanwhile does no harm.
import { expect, test } from 'vitest';
import type { Settings } from '../../src/config.ts';
import { KMS_ERRORS } from '../../src/dev/kms/faults.ts';
import { gateId } from '../../src/names.ts';
import { readGate, type Gate } from '../../src/parking/record.ts';
import { redisKeys } from '../../src/redis.ts';
import { eventually } from '../support/eventually.ts';
import { documentOf, metricsOf, openHouse, type House } from './house.ts';
import { startWorkerChild, type WorkerChild } from './worker-child.ts';

/** Probes come soon, so that nobody waits for them. */
const SOON: Settings = { SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600, SEALDEX_CONCURRENCY: 1 };

const gateOf = (house: House, arn: string): Promise<Gate> =>
  readGate(house.redis, redisKeys(String(house.settings.SEALDEX_QUEUE)), gateId('acme', arn));

const becomes = (house: House, arn: string, state: string): Promise<Gate> =>
  eventually(
    async () => {
      const gate = await gateOf(house, arn);
      return gate.record?.state === state && gate;
    },
    { timeoutMs: 20_000 },
  );

const readyz = async (worker: WorkerChild): Promise<string> =>
  (await (await fetch(`http://127.0.0.1:${await worker.ready}/readyz`)).text()).trim();

const agree = (workers: readonly WorkerChild[], text: string): Promise<boolean> =>
  eventually(async () => {
    for (const worker of workers) expect(await readyz(worker)).toBe(text);
    return true;
  });

async function enqueue({ producer }: House, id: string): Promise<string> {
  return (await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf(id, 'Text.') })).jobId;
}

const decrypts = ({ services: { kms } }: House, key: string): number => kms.counts.count({ operation: 'Decrypt', key });

/** Whichever has a job in work. */
const busy = (workers: readonly WorkerChild[]): Promise<WorkerChild> =>
  eventually(async () => {
    for (const worker of workers) {
      const { sealdex_jobs_active: active } = await metricsOf(await worker.ready, 'sealdex_jobs_active');
      if (active === 1) return worker;
    }
    return undefined;
  });

/**
 * A minute of real time is not needed: what makes a process' news old is that the gate has changed since, not how long it
 * slept. That a view which is older than 5 s counts as unknown is held with an injected clock, beside the gates.
 */
test('a process that is frozen while the others shut and open the gate changes nothing by its old news', async () => {
  await using house = await openHouse(SOON);
  const { kms } = house.services;
  const arn = await house.tenant('acme');
  await using workers = new AsyncDisposableStack();
  const fleet = await Promise.all([1, 2, 3].map(async () => workers.use(await startWorkerChild(house.settings))));
  await agree(fleet, 'ready');

  // One asks KMS and is frozen there: a refusal is on its way to it.
  const asked = { key: arn, operation: 'Decrypt' } as const;
  const hang = kms.faults.set({ match: asked, fault: { kind: 'hang' }, times: 1 });
  const denial = kms.faults.set({ match: asked, fault: KMS_ERRORS.accessDenied, times: 1 });
  const first = await enqueue(house, 'first');
  await eventually(() => hang.waiting === 1);
  const frozen = await busy(fleet);
  frozen.kill('SIGSTOP');
  const others = fleet.filter((worker) => worker !== frozen);
  kms.disable(arn);
  hang.clear();
  const later = await enqueue(house, 'later');
  await becomes(house, arn, 'shut');
  await agree(others, 'ready (gates shut: 1)');
  kms.enable(arn);
  const open = await becomes(house, arn, 'open');
  expect(await house.end(later)).toBe('done');
  expect(denial.met).toBe(1);

  frozen.kill('SIGCONT');
  // It has heard of its refusal, and could not park its job at a gate that is open.
  expect(await house.end(first, 60_000)).toBe('done');
  expect(await gateOf(house, arn)).toEqual(open);
  await agree(fleet, 'ready');
  expect((await house.operator.status()).index).toMatchObject({ waiting: 0, active: 0, delayed: 0, dead: 0 });
  for (const worker of fleet) worker.kill('SIGTERM');
  for (const worker of fleet) expect(await worker.exited).toEqual({ code: 0, signal: null });
}, 120_000);

test('three processes agree on one gate, and try its key no more often than one would', async () => {
  await using house = await openHouse({ ...SOON, SEALDEX_PROBE_MIN_MS: 1000, SEALDEX_PROBE_MAX_MS: 3000 });
  const { kms } = house.services;
  const arn = await house.tenant('acme');
  kms.disable(arn);
  const jobs = await Promise.all(Array.from({ length: 12 }, (_, index) => enqueue(house, `document ${index}`)));
  await using workers = new AsyncDisposableStack();
  const fleet = await Promise.all([1, 2, 3].map(async () => workers.use(await startWorkerChild(house.settings))));
  await agree(fleet, 'ready (gates shut: 1)');
  const atShutting = decrypts(house, arn);
  expect(atShutting).toBeLessThanOrEqual(fleet.length);
  const { record } = await eventually(async () => {
    const gate = await gateOf(house, arn);
    return (gate.record?.probes ?? 0) >= 3 && gate;
  });
  const calls = kms.counts.count({ operation: 'GenerateDataKey', key: arn, result: 'DisabledException' });
  expect(calls).toBeLessThanOrEqual((record?.probes ?? 0) + 1);
  // Parked jobs cost nothing.
  expect(decrypts(house, arn)).toBe(atShutting);
  let probes = 0;
  for (const worker of fleet)
    for (const count of Object.values(await metricsOf(await worker.ready, 'sealdex_probes_total'))) probes += count;
  expect(probes).toBeLessThanOrEqual((await gateOf(house, arn)).record?.probes ?? 0);
  kms.enable(arn);
  for (const job of jobs) expect(await house.end(job, 30_000)).toBe('done');
  await agree(fleet, 'ready');
}, 90_000);
