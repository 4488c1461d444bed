// Several processes and one tenant's data key: their KMS calls, and the death of one process.
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KmsServer } from '@sealdex/local-aws';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { movingAll, startRing, type RingProcess } from './processes.ts';

let services: TestServices;
let kms: KmsServer;
let processes: RingProcess[];

beforeEach(async () => {
  services = await testServices();
  kms = services.kms;
  processes = await Promise.all([1, 2, 3].map(() => startRing(services.settings)));
});

afterEach(async () => {
  await Promise.all(processes.map((process) => process.kill()));
  await services[Symbol.asyncDispose]();
});

const calls = (tenant: string): Record<string, number> =>
  Object.fromEntries(
    kms.counts.all().flatMap((row) => (row.tenant === tenant ? [[`${row.operation} ${row.result}`, row.count]] : [])),
  );

test('three processes with one tenant make one GenerateDataKey and two Decrypts per period', async () => {
  const arn = kms.createKey();
  const use = (): Promise<unknown[]> =>
    Promise.all(processes.map((process) => process.ask({ kind: 'current', tenant: 'acme', arn })));
  const first = await movingAll(processes, use());
  expect(new Set(first).size).toBe(1);
  expect(calls('acme')).toEqual({ 'GenerateDataKey ok': 1, 'Decrypt ok': 2 });
  expect(await use()).toEqual(first);
  expect(calls('acme')).toEqual({ 'GenerateDataKey ok': 1, 'Decrypt ok': 2 });
  await Promise.all(processes.map((process) => process.ask({ kind: 'advance', ms: 3_600_000 })));
  expect(await Promise.all(processes.map((process) => process.ask({ kind: 'keys' })))).toEqual([0, 0, 0]);
  const second = await movingAll(processes, use());
  expect(new Set([...first, ...second]).size).toBe(2);
  expect(calls('acme')).toEqual({ 'GenerateDataKey ok': 2, 'Decrypt ok': 4 });
  // After the release of everything they exit without a signal.
  for (const process of processes) process.ask({ kind: 'end' }).catch(() => {});
  expect(await Promise.all(processes.map((process) => process.exitCode))).toEqual([0, 0, 0]);
});

test('other processes take over after the claim of a killed process expires, and all use one data key', async () => {
  const arn = kms.createKey();
  const [claiming, ...others] = processes;
  const hang = kms.faults.set({ match: { key: arn, operation: 'GenerateDataKey' }, fault: { kind: 'hang' }, times: 1 });
  const died = claiming!.ask({ kind: 'current', tenant: 'acme', arn }).catch((error: Error) => error.message);
  await eventually(() => hang.waiting === 1);
  const uses = Promise.all(others.map((process) => process.ask({ kind: 'current', tenant: 'acme', arn })));
  await claiming!.kill();
  expect(await died).toBe('The process has ended.');
  const late = await startRing(services.settings);
  processes.push(late);
  const keys = await movingAll(others, uses);
  expect(new Set([...keys, await late.ask({ kind: 'current', tenant: 'acme', arn })]).size).toBe(1);
  expect(calls('acme')).toEqual({ 'GenerateDataKey gone': 1, 'GenerateDataKey ok': 1, 'Decrypt ok': 2 });
});
