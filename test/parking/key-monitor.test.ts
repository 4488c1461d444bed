// Effects of a failed KMS call: a shut gate, a platform error, or none yet.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { withAuditContext, createAuditLog, type AuditOrigin } from '../../src/runtime/audit-log.ts';
import { SealdexError, type Code } from '../../src/runtime/errors.ts';
import { createKeyMonitor, type KeyMonitor, type KeyMonitorDeps } from '../../src/parking/key-monitor.ts';
import { openParkingFixture, type ParkingFixture, type Process } from './fixture.ts';

let fixture: ParkingFixture;
let here: Process;
let monitor: KeyMonitor;
let call: KeyRef;
/** The keys that work now, and the number of keys in use. */
let working: Set<string>;
let keysInUse: number;
let someKeys: KeyRef[];
let suspected: string[];
let tested: string[];

const monitorOf = ({ gates }: Process, change: Partial<KeyMonitorDeps> = {}): KeyMonitor =>
  createKeyMonitor({
    gates,
    redis: fixture.redis,
    keys: fixture.keys,
    clock: fixture.clock,
    platformKeyArn: fixture.platformKeyArn,
    operatorStopOf: async () => undefined,
    currentKeyOf: async (tenant) => fixture.owners.get(tenant)?.keyArn,
    works: async ({ keyArn }) => (tested.push(keyArn), working.has(keyArn)),
    platformKeyWorks: async () => working.has(fixture.platformKeyArn),
    keysInUse: async () => keysInUse,
    someKeys: async () => someKeys,
    onPlatformSuspected: (code) => void suspected.push(code),
    ...change,
  });

beforeEach(async () => {
  fixture = await openParkingFixture();
  here = await fixture.process();
  working = new Set([fixture.platformKeyArn]);
  keysInUse = 1;
  someKeys = [callOf('bystander')];
  [suspected, tested] = [[], []];
  monitor = monitorOf(here);
  call = keyRef('acme', fixture.tenant('acme'));
});

afterEach(() => fixture[Symbol.asyncDispose]());

const fault = (code: Code, reason = 'ByTest'): SealdexError => new SealdexError(code, undefined, { reason });

/** A call that fails at once; returns the code for its users. */
const fails = async (code: Code, of = call, by = monitor): Promise<Code> =>
  (await by.begin(of).failed(fault(code))).code;

const gateOf = async ({ tenant, keyArn } = call): Promise<[number, string | undefined, Code | undefined]> => {
  const { epoch, record } = await fixture.gate(tenant, keyArn);
  return [epoch, record?.state, record?.code];
};

/** The gates shut so far, as logged. */
const shuts = (): string[] =>
  fixture.lines.flatMap(({ level, facts }) => {
    const { tenant, code } = facts as { tenant: string; code: Code };
    return level === 'warn' ? [`${tenant} ${code}`] : [];
  });

const callOf = (tenant: string): KeyRef => keyRef(tenant, fixture.owners.get(tenant)?.keyArn ?? fixture.tenant(tenant));

test.for(['KEY_DISABLED', 'KEY_PENDING_DELETION', 'KEY_PENDING_IMPORT', 'KEY_UNAVAILABLE', 'KEY_NOT_FOUND'] as const)(
  'a call that fails with %s shuts the gate of its tenant and key, and is reported',
  async (code) => {
    expect(await fails(code)).toBe(code);
    expect(await gateOf()).toEqual([1, 'shut', code]);
    expect(shuts()).toEqual([`acme ${code}`]);
    expect(() => monitor.begin(call)).toThrow(expect.objectContaining({ code }));
    expect(() => monitor.begin(keyRef('globex', call.keyArn))).not.toThrow();
  },
);

test('a gate contains the facts of the KMS error, and whether the key is the current one', async () => {
  const kmsFacts = { reason: 'DisabledException', deniedBy: 'tenant', deletesAt: 99, requestId: 'a1b2-c3' } as const;
  const cause = new Error('secret words');
  await monitor.begin(call).failed(new SealdexError('KEY_PENDING_DELETION', undefined, { ...kmsFacts, cause }));
  const now = fixture.clock.now();
  const since = { since: now, codeSince: now };
  expect((await fixture.gate('acme', call.keyArn)).record).toMatchObject({
    ...kmsFacts,
    ...since,
    wasCurrent: true,
    probes: 0,
  });
  expect(JSON.stringify(await fixture.redis.hgetall(fixture.keys.gates))).not.toContain('secret');
  const former = keyRef('acme', fixture.kms.createKey());
  await fails('KEY_DISABLED', former);
  expect((await fixture.gate('acme', former.keyArn)).record?.wasCurrent).toBe(false);
});

test.for(['KMS_THROTTLED', 'PLATFORM_CREDENTIALS', 'TENANT_KEY_INVALID', 'OBJECT_TAMPERED', 'INTERNAL'] as const)(
  'a call that fails with %s changes no gate',
  async (code) => {
    for (let time = 0; time < 5; time += 1) {
      expect(await fails(code)).toBe(code);
      fixture.clock.advance(20_000);
      await here.gates.tick();
    }
    expect(await fixture.redis.exists(fixture.keys.gates, fixture.keys.gateEpoch)).toBe(0);
  },
);

test('a failure of a call started before the gate was shut and opened does not shut it', async () => {
  const began = monitor.begin(call);
  for (const state of ['shut', 'draining', 'open'] as const) {
    const { epoch } = await fixture.gate('acme', call.keyArn);
    await here.write(epoch, fixture.record('acme', call.keyArn, { state }));
  }
  expect((await began.failed(fault('KEY_DISABLED'))).code).toBe('KEY_DISABLED');
  expect(await gateOf()).toEqual([3, 'open', 'KEY_DISABLED']);
  expect(shuts()).toEqual([]);
});

test('a key that fails while its gate drains shuts it again', async () => {
  await here.write(0, fixture.record('acme', call.keyArn, { state: 'draining', since: 5 }));
  await fails('KEY_DENIED');
  expect(await gateOf()).toEqual([2, 'shut', 'KEY_DENIED']);
});

test('parallel failed calls shut one gate once', async () => {
  const calls = Array.from({ length: 10 }, () => monitor.begin(call));
  await Promise.all(calls.map((one) => one.failed(fault('KEY_DISABLED'))));
  expect([await gateOf(), shuts()]).toEqual([[1, 'shut', 'KEY_DISABLED'], ['acme KEY_DISABLED']]);
});

test('an unknown gate does not block a call to KMS', async () => {
  fixture.clock.skipMonotonic(6000);
  expect(() => monitor.begin(call)).not.toThrow();
});

test('a key is unavailable if KMS fails for 30 s while the platform key works', async () => {
  expect(await fails('KMS_FAILED')).toBe('KMS_FAILED');
  fixture.clock.advance(29_999);
  expect(await fails('KMS_FAILED')).toBe('KMS_FAILED');
  expect(await gateOf()).toEqual([0, undefined, undefined]);
  fixture.clock.advance(1);
  expect(await fails('KMS_FAILED')).toBe('KEY_UNAVAILABLE');
  expect(await gateOf()).toEqual([1, 'shut', 'KEY_UNAVAILABLE']);
  expect(suspected).toEqual([]);
});

test('an error with a new code keeps its request id', async () => {
  const failing = (code: Code, of = call): Promise<SealdexError> =>
    monitor.begin(of).failed(new SealdexError(code, undefined, { requestId: 'a1b2-c3' }));
  await failing('KMS_FAILED');
  fixture.clock.advance(30_000);
  expect(await failing('KMS_FAILED')).toMatchObject({ code: 'KEY_UNAVAILABLE', requestId: 'a1b2-c3' });
  expect((await fixture.gate('acme', call.keyArn)).record?.requestId).toBe('a1b2-c3');
  await denied(4);
  const last = await failing('KEY_DENIED', callOf('last'));
  expect(last).toMatchObject({ code: 'PLATFORM_DENIED', requestId: 'a1b2-c3' });
});

test('a success in between ends the wait for an outage', async () => {
  await fails('KMS_FAILED');
  fixture.clock.advance(20_000);
  monitor.begin(call).ok();
  fixture.clock.advance(20_000);
  expect(await fails('KMS_FAILED')).toBe('KMS_FAILED');
  expect(await gateOf()).toEqual([0, undefined, undefined]);
});

test('two failures far apart are not an outage', async () => {
  await fails('KMS_FAILED');
  fixture.clock.advance(120_001);
  await here.gates.tick();
  expect(await fails('KMS_FAILED')).toBe('KMS_FAILED');
  expect(await gateOf()).toEqual([0, undefined, undefined]);
});

test('a KMS that fails for the platform key too shuts no gate', async () => {
  working.clear();
  const calls = [call, callOf('globex'), keyRef('free', fixture.platformKeyArn)];
  for (let second = 0; second < 90; second += 10) {
    for (const one of calls) expect(await fails('KMS_FAILED', one)).toBe('KMS_FAILED');
    fixture.clock.advance(10_000);
    await here.gates.tick();
  }
  expect(new Set(suspected)).toEqual(new Set(['KMS_FAILED']));
  expect(await fixture.redis.exists(fixture.keys.gates)).toBe(0);
});

test('an outage shuts no gate for the platform key', async () => {
  const free = keyRef('free', fixture.platformKeyArn);
  await fails('KMS_FAILED', free);
  fixture.clock.advance(40_000);
  expect(await fails('KMS_FAILED', free)).toBe('KMS_FAILED');
  expect(suspected).toEqual(['KMS_FAILED']);
});

/** The given number of tenants is denied, one after the other; returns the codes for their jobs. */
async function denied(count: number, everyMs = 1000): Promise<Code[]> {
  const codes: Code[] = [];
  for (let at = 0; at < count; at += 1) {
    codes.push(await fails('KEY_DENIED', callOf(`denied-${at}`)));
    fixture.clock.advance(everyMs);
  }
  return codes;
}

test('denials are a platform fault if they affect more than 3 gates and a tenth of the keys, and no other key works', async () => {
  keysInUse = 39;
  expect(await denied(5)).toEqual(['KEY_DENIED', 'KEY_DENIED', 'KEY_DENIED', 'PLATFORM_DENIED', 'PLATFORM_DENIED']);
  expect(suspected).toEqual(['PLATFORM_DENIED', 'PLATFORM_DENIED']);
  expect(shuts()).toHaveLength(3);
  expect(await gateOf(callOf('denied-3'))).toEqual([0, undefined, undefined]);
});

test.for([
  ['3 gates', 3, 1, 1000],
  ['a tenth of the keys', 4, 40, 1000],
  ['4 gates in more than 5 min', 6, 1, 100_001],
] as const)('denials of %s are tenant failures', async ([, count, keys, everyMs]) => {
  keysInUse = keys;
  expect(await denied(count, everyMs)).toEqual(Array.from({ length: count }, () => 'KEY_DENIED'));
  expect([suspected, shuts().length]).toEqual([[], count]);
});

test('a denial removes at most 100 of the many that are too old, and counts none of them', async () => {
  const { redis, keys, clock } = fixture;
  const old = Array.from({ length: 250 }, (_, at) => [clock.now() - 300_000 - at, `old-${at}`]);
  await redis.zadd(keys.denials, ...old.flat());
  keysInUse = 1;
  const left: number[] = [];
  for (let at = 0; at < 3; at += 1) {
    expect(await fails('KEY_DENIED', callOf(`new-${at}`))).toBe('KEY_DENIED');
    left.push(await redis.zcard(keys.denials));
  }
  expect(left).toEqual([151, 52, 3]);
});

test('denials are tenant failures while another key works', async () => {
  const other = callOf('globex');
  monitor.begin(other).ok();
  working.add(other.keyArn);
  expect(new Set(await denied(8))).toEqual(new Set(['KEY_DENIED']));
  expect([suspected, shuts().length]).toEqual([[], 8]);
  working.delete(other.keyArn);
  fixture.clock.advance(3000);
  expect(await fails('KEY_DENIED')).toBe('PLATFORM_DENIED');
});

test('denials are tenant failures without another key to test', async () => {
  someKeys = [];
  expect(new Set(await denied(6))).toEqual(new Set(['KEY_DENIED']));
  expect([suspected, shuts().length]).toEqual([[], 6]);
});

test('a process that has used no other key tests those of other tenants, before and after the platform fault', async () => {
  const stranger = callOf('stranger');
  const calls = Array.from({ length: 4 }, (_, at) => callOf(`denied-${at}`));
  someKeys = [calls[0]!, stranger];
  working.add(stranger.keyArn);
  expect(new Set(await denied(6))).toEqual(new Set(['KEY_DENIED']));
  expect(tested).toContain(stranger.keyArn);
  expect(tested).not.toContain(calls[0]!.keyArn);
  working.delete(stranger.keyArn);
  fixture.clock.advance(3000);
  expect(await fails('KEY_DENIED')).toBe('PLATFORM_DENIED');
  expect(await monitor.anyKeyWorks()).toBe(false);
  working.add(stranger.keyArn);
  fixture.clock.advance(3000);
  expect(await monitor.anyKeyWorks()).toBe(true);
});

test('the test of other keys is audited as a probe, without the job and command of the denied call', async () => {
  const audit = createAuditLog({ to: 'stdout', clock: fixture.clock, identity: async () => 'jo' });
  const origins: AuditOrigin[] = [];
  monitor = monitorOf(here, { works: async () => (origins.push(await audit.origin()), false) });
  const codes = withAuditContext({ command: 'read', job: 'j1' }, () => denied(4));
  expect((await codes).at(-1)).toBe('PLATFORM_DENIED');
  expect(origins).toEqual([{ process: expect.any(String), activity: 'probe', isInCommand: true }]);
});

test('a key that worked before its denial does not prove that the platform works', async () => {
  const calls = Array.from({ length: 4 }, (_, at) => callOf(`denied-${at}`));
  for (const one of calls) monitor.begin(one).ok();
  // They would all work again; but they were denied, and no other key is known.
  for (const { keyArn } of calls) working.add(keyArn);
  expect((await denied(4)).at(-1)).toBe('PLATFORM_DENIED');
});

test('denials in other processes count, and each gate counts once', async () => {
  const calls = Array.from({ length: 10 }, () => monitorOf(here).begin(callOf('one')));
  for (const one of calls) expect((await one.failed(fault('KEY_DENIED'))).code).toBe('KEY_DENIED');
  expect(new Set(await denied(2))).toEqual(new Set(['KEY_DENIED']));
  const other = monitorOf(await fixture.process());
  expect(await fails('KEY_DENIED', call, other)).toBe('PLATFORM_DENIED');
});

test('anyKeyWorks() tests the last three working and the last three denied keys', async () => {
  for (let at = 0; at < 5; at += 1) monitor.begin(callOf(`worked-${at}`)).ok();
  await denied(5);
  fixture.clock.advance(3000);
  tested = [];
  expect(await monitor.anyKeyWorks()).toBe(false);
  const names = ['denied-2', 'denied-3', 'denied-4', 'worked-2', 'worked-3', 'worked-4', 'bystander'];
  expect(tested).toEqual(names.map((name) => callOf(name).keyArn));
  working.add(callOf('denied-3').keyArn);
  expect(await monitor.anyKeyWorks()).toBe(true);
});
