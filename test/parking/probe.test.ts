// Probing a shut gate: one probe per interval for the fleet, two successful ones open it, and the effect of each error.
import { keyRef } from '../../src/runtime/key-ref.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KMS_FAULTS, type MemoryKmsMatch } from '../support/memory-kms.ts';
import { probeOnce } from '../../src/parking/probe.ts';
import type { GateRecord } from '../../src/parking/gate-record.ts';
import { eventually } from '../support/eventually.ts';
import { openParkingFixture, type ParkingFixture, type Process } from './fixture.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let fixture: ParkingFixture;
let one: Process;
let keyArn: string;

beforeEach(async () => {
  fixture = await openParkingFixture();
  one = await fixture.process();
  keyArn = fixture.tenant('acme');
});

afterEach(() => fixture[Symbol.asyncDispose]());

async function shut(change: Partial<GateRecord> = {}): Promise<void> {
  const { epoch } = await fixture.gate('acme', keyArn);
  expect(await one.write(epoch, fixture.record('acme', keyArn, change))).toBe(true);
}

const storedGate = async (): Promise<GateRecord> => (await fixture.gate('acme', keyArn)).record!;
const tries = (operation: 'GenerateDataKey' | 'Decrypt' = 'GenerateDataKey'): number =>
  fixture.kms.counts.count({ operation, key: keyArn });

/** All at once, when the gate is due. */
async function due(...processes: Process[]): Promise<GateRecord> {
  fixture.later((await storedGate()).nextProbe - fixture.clock.now());
  await Promise.all((processes.length > 0 ? processes : [one]).map((process) => process.tick()));
  return storedGate();
}

const refuse = (fault: (typeof KMS_FAULTS)[keyof typeof KMS_FAULTS], match: MemoryKmsMatch = {}): { clear(): void } =>
  fixture.kms.faults.set({ match: { key: keyArn, ...match }, fault });

test('a shut gate is probed once per interval, regardless of process count', async () => {
  const fleet = [one, ...(await Promise.all([1, 2, 3].map(() => fixture.process())))];
  fixture.kms.disable(keyArn);
  await shut();
  for (const process of fleet) await process.tick();
  expect(tries()).toBe(0);
  let last = fixture.clock.now();
  // A fourth interval reaches its limit: by its jitter it may be shorter than the third.
  for (let round = 1; round <= 3; round += 1) {
    const { nextProbe, probes } = await due(...fleet);
    await Promise.all(fleet.flatMap((process) => [process.tick(), process.probe.tick()]));
    expect([tries(), probes]).toEqual([round, round]);
    expect(nextProbe - fixture.clock.now()).toBeGreaterThan(fixture.clock.now() - last);
    last = fixture.clock.now();
  }
  expect(tries()).toBe(3);
});

test('two successful probes open the gate, and it is open after its release', async () => {
  await shut();
  const first = await due();
  expect(first).toMatchObject({ state: 'shut', goodProbes: 1, nextProbe: fixture.clock.now() + 5000 });
  expect(await due()).toMatchObject({ state: 'draining', code: 'KEY_DISABLED' });
  expect([tries(), tries('Decrypt')]).toEqual([2, 2]);
  await one.tick();
  await eventually(async () => (await storedGate()).state === 'open');
  expect(await storedGate()).toMatchObject({ since: fixture.clock.now() });
  expect(one.gates.refusal(keyRef('acme', keyArn))).toBeUndefined();
  expect(fixture.lines.filter(({ message }) => message === 'gate opened')).toHaveLength(1);
});

test('a failed probe between two successful ones starts over', async () => {
  await shut();
  await due();
  fixture.kms.disable(keyArn);
  expect(await due()).toMatchObject({ state: 'shut', goodProbes: 0 });
  fixture.kms.enable(keyArn);
  expect(await due()).toMatchObject({ state: 'shut', goodProbes: 1 });
  expect(await due()).toMatchObject({ state: 'draining' });
});

test.for(['GenerateDataKey', 'Decrypt'] as const)('a key with %s denied stays shut', async (operation) => {
  refuse(KMS_FAULTS.accessDenied, { operation });
  await shut({ code: 'KEY_DENIED' });
  for (let round = 0; round < 3; round += 1)
    expect(await due()).toMatchObject({ state: 'shut', code: 'KEY_DENIED', deniedBy: 'tenant', goodProbes: 0 });
});

test.for([
  ['an outage', KMS_FAULTS.internal],
  ['a throttled account', KMS_FAULTS.throttled],
  ['expired credentials', KMS_FAULTS.expiredCredentials],
] as const)('a probe that ends with %s is inconclusive', async ([, fault]) => {
  await shut({ reason: 'DisabledException', requestId: 'r1', deletesAt: 5 });
  await due();
  const before = await storedGate();
  const down = refuse(fault);
  const after = await due();
  expect(after).toEqual({
    ...before,
    probes: 2,
    goodProbes: 0,
    nextProbe: fixture.clock.now() + fixture.config.probeMinMs,
  });
  down.clear();
  // The two successful probes must be consecutive.
  expect(await due()).toMatchObject({ state: 'shut', goodProbes: 1 });
  expect(await due()).toMatchObject({ state: 'draining' });
});

test('a gate follows the KMS error: disabled, then pending deletion with its date', async () => {
  fixture.kms.disable(keyArn);
  const since = fixture.clock.now();
  await shut({ reason: 'DisabledException', requestId: 'the first refusal', note: 'a word' });
  expect(await due()).toMatchObject({ code: 'KEY_DISABLED', since, codeSince: since });
  fixture.kms.scheduleDeletion(keyArn, { days: 7 });
  const { requestId, note, deletesAt, ...rest } = await due();
  expect(rest).toMatchObject({ code: 'KEY_PENDING_DELETION', since, codeSince: fixture.clock.now() });
  expect(note).toBeUndefined();
  expect(requestId).toMatch(/^[\w-]{36}$/);
  expect(deletesAt).toBeGreaterThan(Date.now() + 6 * DAY_MS);
  fixture.kms.cancelDeletion(keyArn);
  const { deletesAt: noDate, code } = await due();
  expect([code, noDate]).toEqual(['KEY_DISABLED', undefined]);
});

test.for(['TENANT_PAUSED', 'KEY_BLOCKED'] as const)('a probe does not open %s; its end does', async (code) => {
  const owner = fixture.owners.get('acme')!;
  fixture.owners.set('acme', { ...owner, operatorStop: { code, since: 77, reason: 'incident 5' } });
  await shut();
  for (let round = 0; round < 3; round += 1)
    expect(await due()).toMatchObject({ state: 'shut', code, codeSince: 77, note: 'incident 5' });
  expect(tries()).toBe(0);
  fixture.owners.set('acme', owner);
  expect(await due()).toMatchObject({ state: 'draining' });
  expect(tries()).toBe(0);
});

test('a former key loses its gate, and so does a deleted tenant', async () => {
  fixture.kms.disable(keyArn);
  await shut();
  fixture.owners.set('acme', keyRef('acme', fixture.kms.createKey()));
  expect(await due()).toMatchObject({ state: 'draining' });
  await shut();
  fixture.owners.delete('acme');
  expect(await due()).toMatchObject({ state: 'draining' });
  expect(tries()).toBe(0);
});

test('a former key with a shut gate is probed like any other', async () => {
  fixture.kms.disable(keyArn);
  fixture.owners.set('acme', keyRef('acme', fixture.kms.createKey()));
  await shut({ wasCurrent: false });
  expect(await due()).toMatchObject({ state: 'shut', code: 'KEY_DISABLED' });
  expect(tries()).toBe(1);
});

test('a tenant with an unreadable file keeps its gate unchanged', async () => {
  const { gates, probe } = await fixture.process({ ownerOf: () => Promise.reject(new Error('S3 is away')) });
  await shut();
  const before = await fixture.gate('acme', keyArn);
  fixture.later(HOUR_MS);
  await gates.tick();
  await probe.tick();
  expect(await fixture.gate('acme', keyArn)).toEqual(before);
});

test('a key is destroyed after 24 h as not found, but only while the platform key is found', async () => {
  fixture.kms.forget(keyArn);
  await shut({ code: 'KEY_NOT_FOUND' });
  const shutAt = fixture.clock.now();
  expect(await due()).toMatchObject({ state: 'shut', code: 'KEY_NOT_FOUND' });
  fixture.later(shutAt + DAY_MS - 1 - fixture.clock.now());
  await one.tick();
  expect(await storedGate()).toMatchObject({ state: 'shut', code: 'KEY_NOT_FOUND' });
  // As with a wrong region: no key is found there.
  const nowhere = fixture.kms.faults.set({ match: { key: fixture.platformKeyArn }, fault: KMS_FAULTS.notFound });
  expect(await due()).toMatchObject({ state: 'shut', code: 'KEY_NOT_FOUND' });
  nowhere.clear();
  expect(await due()).toMatchObject({ state: 'destroyed', code: 'KEY_DESTROYED' });
  expect(one.gates.refusal(keyRef('acme', keyArn))?.code).toBe('KEY_DESTROYED');
  expect(fixture.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
});

test('the 24 h begin when KMS does not find the key, not when the gate is shut', async () => {
  fixture.kms.disable(keyArn);
  await shut();
  fixture.later(2 * DAY_MS);
  await one.tick();
  fixture.kms.forget(keyArn);
  expect(await due()).toMatchObject({ state: 'shut', code: 'KEY_NOT_FOUND', codeSince: fixture.clock.now() });
  expect(await due()).toMatchObject({ state: 'shut', code: 'KEY_NOT_FOUND' });
});

test('a gate open for an hour is deleted, and every process forgets it at its next poll', async () => {
  const other = await fixture.process();
  await shut({ state: 'open' });
  await other.gates.tick();
  fixture.later(HOUR_MS);
  await one.tick();
  expect(await fixture.gate('acme', keyArn)).toMatchObject({ record: { state: 'open' } });
  fixture.later(1);
  await one.tick();
  expect(await fixture.gate('acme', keyArn)).toEqual({ epoch: 0 });
  for (const { gates } of [one, other]) {
    await gates.tick();
    expect(gates.all()).toEqual([]);
  }
  await shut();
  expect(one.gates.refusal(keyRef('acme', keyArn))?.code).toBe('KEY_DISABLED');
});

test('a gate shut during its deletion stays', async () => {
  await shut({ state: 'open' });
  fixture.later(2 * HOUR_MS);
  const other = await fixture.process();
  await one.unsubscribe();
  await other.write(1, fixture.record('acme', keyArn));
  await one.probe.tick();
  expect(await storedGate()).toMatchObject({ state: 'shut' });
});

test('a probe result is not reported if the gate was changed meanwhile', async () => {
  const meanwhile = await fixture.process({
    async tryKey() {
      await one.write(
        (await fixture.gate('acme', keyArn)).epoch,
        fixture.record('acme', keyArn, { code: 'KEY_DENIED' }),
      );
    },
  });
  await shut({ goodProbes: 1, nextProbe: 0 });
  await meanwhile.tick();
  expect(await storedGate()).toMatchObject({ state: 'shut', code: 'KEY_DENIED', goodProbes: 0 });
});

test('an extra probe does not wait, and counts as one of the two successful probes', async () => {
  await shut();
  const now = async (): Promise<GateRecord | undefined> =>
    (await probeOnce(one.probing, await fixture.gate('acme', keyArn)))?.record;
  expect(await now()).toMatchObject({ state: 'shut', goodProbes: 1 });
  expect(await now()).toMatchObject({ state: 'shut', goodProbes: 1 });
  fixture.clock.advance(5000);
  expect(await now()).toMatchObject({ state: 'draining' });
});
