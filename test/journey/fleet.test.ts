// Three worker processes and one gate: they agree, however often it changes, and one that was frozen meanwhile does no harm.
import { expect, test } from 'vitest';
import type { Settings } from '../../src/config.ts';
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

/**
 * A minute of real time is not needed: what makes a process' news old is that the gate has changed since, and what makes it
 * careful is the time that it did not look, which is over after 5 s.
 */
test('a process that is frozen while the others shut and open the gate changes nothing by its old news', async () => {
  await using house = await openHouse(SOON);
  const { kms } = house.services;
  const arn = await house.tenant('acme');
  const first = await enqueue(house, 'first');

  // One process asks KMS for the first job and is frozen there: the refusal is on its way to it.
  const hang = kms.faults.set({ match: { key: arn, operation: 'Decrypt' }, fault: { kind: 'hang' }, times: 1 });
  await using frozen = await startWorkerChild(house.settings);
  await eventually(() => hang.waiting === 1, { timeoutMs: 20_000 });
  frozen.kill('SIGSTOP');
  kms.disable(arn);
  hang.clear();

  await using second = await startWorkerChild(house.settings);
  await using third = await startWorkerChild(house.settings);
  const others = [second, third];
  await Promise.all(others.map(({ ready }) => ready));
  const later = await enqueue(house, 'later');
  await becomes(house, arn, 'shut');
  await agree(others, 'ready (gates shut: 1)');
  expect((await house.producer.status(later)).state).toBe('parked');
  kms.enable(arn);
  const open = await becomes(house, arn, 'open');
  expect(await house.end(later)).toBe('done');
  await agree(others, 'ready');

  frozen.kill('SIGCONT');
  await agree([frozen, ...others], 'ready');
  // It has heard of its refusal, and has tried to park its job at a gate that is open.
  expect(await house.end(first, 60_000)).toBe('done');
  expect(await gateOf(house, arn)).toEqual(open);
  expect((await house.operator.status()).index).toMatchObject({ waiting: 0, active: 0, delayed: 0, dead: 0 });

  // And it learns of what happens from now on like the others, and makes no more calls than they.
  kms.disable(arn);
  await house.redis.publish(`${redisKeys(String(house.settings.SEALDEX_QUEUE)).gateChanged}`, 'no news');
  const { epoch } = await gateOf(house, arn);
  expect(epoch).toBe(open.epoch);
  for (const worker of [frozen, ...others]) worker.kill('SIGTERM');
  for (const worker of [frozen, ...others]) expect(await worker.exited).toEqual({ code: 0, signal: null });
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
