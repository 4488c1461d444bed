// Reads of gates from Redis: a process reads the gates that changed since its last read, and all gates only in pages.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { GateEvent } from '../../src/parking/gate-events.ts';
import { deleteGates } from '../../src/parking/delete-gates.ts';
import type { Redis } from '../../src/runtime/redis.ts';
import { eventually } from '../support/eventually.ts';
import { recordCommands, type SentCommand } from '../support/sent-commands.ts';
import { openParkingFixture, type ParkingFixture, type Process } from './fixture.ts';

const KEY = 'arn:aws:kms:us-west-2:111122223333:key/shared';

let fixture: ParkingFixture;
let here: Process;
let there: Process;
let sent: SentCommand[];

const recorded = (redis: Redis): Redis => recordCommands(redis, (command) => void sent.push(command));

beforeEach(async () => {
  sent = [];
  fixture = await openParkingFixture();
});

afterEach(() => fixture[Symbol.asyncDispose]());

const SHUT: GateEvent = { kind: 'keyFailed', error: new SealdexError('KEY_DISABLED'), isCurrent: true };

async function apply(tenant: string, ...events: GateEvent[]): Promise<void> {
  for (const event of events) expect((await here.gates.apply(keyRef(tenant, KEY), event)).isChanged).toBe(true);
}

const stateIn = ({ gates }: Process, tenant: string): string | undefined =>
  gates.get(keyRef(tenant, KEY)).record?.state;
const names = (): string[] => sent.map(({ name }) => name);

/** Tenants whose gates were in a response. */
const tenantsRead = (): string[] =>
  sent.flatMap(({ values }) => values.flatMap((value) => /"tenant":"([^"]+)"/.exec(String(value))?.[1] ?? []));

/** Writes gates as an older version does: without the log. */
async function writeOld(count: number): Promise<void> {
  const { redis, keys } = fixture;
  for (let from = 0; from < count; from += 1000) {
    const fields = Array.from({ length: Math.min(1000, count - from) }, (_, at) => {
      const record = fixture.record(`tenant-${from + at}`, KEY, { nextProbe: fixture.clock.now() + 900_000 });
      return [gateId(record), `${from + at + 1} ${JSON.stringify(record)}`];
    });
    await redis.hset(keys.gates, Object.fromEntries(fields) as Record<string, string>);
    await redis.incrby(keys.gateEpoch, fields.length);
  }
}

/** Two processes; the second one receives no messages and records its commands from now on. */
async function openProcesses(): Promise<void> {
  here = await fixture.process();
  there = await fixture.process({ through: recorded });
  await there.unsubscribe();
  sent = [];
}

describe('with many gates of an older version', () => {
  test('a process reads 20,000 gates with no response of more than 1,000 gates', async () => {
    await writeOld(20_000);
    await openProcesses();
    const process = await fixture.process({ through: recorded });
    expect(process.gates.all()).toHaveLength(20_000);
    expect(Math.max(...sent.map(({ values }) => values.length))).toBeLessThanOrEqual(2001);
    expect(names()).not.toContain('hgetall');
  });

  test('a process that has read them reads only what changes later', async () => {
    await writeOld(2000);
    await openProcesses();
    await apply('tenant-7', { kind: 'operatorReleased' });
    await there.gates.tick();
    await apply('tenant-9', { kind: 'operatorReleased' });
    sent = [];
    await there.gates.tick();
    expect(stateIn(there, 'tenant-9')).toBe('draining');
    expect(tenantsRead()).toEqual(['tenant-9']);
    sent = [];
    await there.gates.tick();
    expect(names()).toEqual(['get', 'lindex']);
  });
});

describe('after lost messages', () => {
  beforeEach(async () => {
    await openProcesses();
    for (const tenant of ['acme', 'globex', 'initech']) await apply(tenant, SHUT);
    await there.gates.tick();
    sent = [];
  });

  test('a poll reads each changed gate once, however often it changed', async () => {
    await apply('acme', { kind: 'operatorReleased' }, { kind: 'drained', isDetached: false });
    await apply('globex', { kind: 'operatorReleased' });
    await there.gates.tick();
    expect([stateIn(there, 'acme'), stateIn(there, 'globex'), stateIn(there, 'initech')]).toEqual([
      'open',
      'draining',
      'shut',
    ]);
    expect(tenantsRead().toSorted()).toEqual(['acme', 'globex']);
    expect(names()).not.toContain('hscan');
  });

  test('a poll drops a removed gate without reading others', async () => {
    await apply('acme', { kind: 'tenantErased' });
    await there.gates.tick();
    expect(new Set(there.gates.all().map(({ record }) => record?.tenant))).toEqual(new Set(['globex', 'initech']));
    expect(tenantsRead()).toEqual([]);
    expect(names()).not.toContain('hscan');
  });

  test('a poll reads more changes than one response has', async () => {
    const tenants = Array.from({ length: 600 }, (_, at) => `tenant-${at}`);
    await Promise.all(tenants.map((tenant) => apply(tenant, SHUT)));
    await there.gates.tick();
    expect(there.gates.all()).toHaveLength(603);
    expect(new Set(tenantsRead())).toEqual(new Set(tenants));
    expect(names()).not.toContain('hscan');
  });

  test.for(['trimmed', 'deleted'])('a poll reads all gates if the log was %s', async (how) => {
    for (const tenant of ['acme', 'globex']) await apply(tenant, { kind: 'operatorReleased' });
    if (how === 'trimmed') await fixture.redis.ltrim(fixture.keys.gateLog, 0, 0);
    else await fixture.redis.del(fixture.keys.gateLog);
    await there.gates.tick();
    expect([stateIn(there, 'acme'), stateIn(there, 'globex')]).toEqual(['draining', 'draining']);
  });

  test('a poll reads a change of an older version, before and after one of this version', async () => {
    const old = async (tenant: string): Promise<void> => {
      const epoch = await fixture.redis.incr(fixture.keys.gateEpoch);
      const record = fixture.record(tenant, KEY);
      await fixture.redis.hset(fixture.keys.gates, gateId(record), `${epoch} ${JSON.stringify(record)}`);
    };
    await old('old-1');
    await there.gates.tick();
    expect(stateIn(there, 'old-1')).toBe('shut');
    await old('old-2');
    await apply('acme', { kind: 'operatorReleased' });
    await there.gates.tick();
    expect([stateIn(there, 'old-2'), stateIn(there, 'acme')]).toEqual(['shut', 'draining']);
    await apply('globex', { kind: 'operatorReleased' });
    sent = [];
    await there.gates.tick();
    expect(tenantsRead()).toEqual(['globex']);
  });

  test('a poll detects that Redis lost changes and has reached the same epoch again', async () => {
    const id = gateId(keyRef('acme', KEY));
    const [kept, log] = [await fixture.redis.hget(fixture.keys.gates, id), await logEntries()];
    await apply('acme', { kind: 'operatorReleased' });
    await there.gates.tick();
    await fixture.redis.hset(fixture.keys.gates, id, kept!);
    await fixture.redis.set(fixture.keys.gateEpoch, String(log.length));
    await fixture.redis.ltrim(fixture.keys.gateLog, 1, -1);
    await here.gates.tick();
    await apply('globex', { kind: 'operatorReleased' });
    await there.gates.tick();
    expect([stateIn(there, 'acme'), stateIn(there, 'globex')]).toEqual(['shut', 'draining']);
  });

  test('a poll reads all gates after a lost connection, also one that was lost during such a read', async () => {
    const scans = (): number => names().filter((name) => name === 'hscan').length;
    const connection = there.probing.redis;
    const hscan = connection.hscan.bind(connection);
    connection.hscan = (async (...args: Parameters<typeof hscan>) => {
      connection.hscan = hscan;
      connection.emit('ready');
      return hscan(...args);
    }) as typeof hscan;
    connection.emit('ready');
    await there.gates.tick();
    expect(scans()).toBe(1);
    await there.gates.tick();
    expect(scans()).toBe(2);
    await there.gates.tick();
    expect(scans()).toBe(2);
  });
});

const logEntries = (): Promise<string[]> => fixture.redis.lrange(fixture.keys.gateLog, 0, -1);

test('a message removes a gate at once', async () => {
  here = await fixture.process();
  there = await fixture.process({ through: recorded });
  await apply('acme', SHUT);
  await eventually(() => stateIn(there, 'acme') === 'shut');
  await apply('acme', { kind: 'tenantErased' });
  await eventually(() => there.gates.all().length === 0);
  sent = [];
  await there.gates.tick();
  expect(names()).toEqual(['get', 'lindex']);
});

test('the log has the last 10,000 changes', async () => {
  await openProcesses();
  await fixture.redis.rpush(
    fixture.keys.gateLog,
    ...Array.from({ length: 10_000 }, (_, at) => `${10_000 - at} x:y 00`),
  );
  await fixture.redis.set(fixture.keys.gateEpoch, '10000');
  await apply('acme', SHUT);
  const log = await logEntries();
  expect([log.length, log[0]?.split(' ')[0], log.at(-1)?.split(' ')[0]]).toEqual([10_000, '10001', '2']);
});

test('the deletion of a tenant’s gates removes the tenant from the log', async () => {
  await openProcesses();
  await apply('acme', SHUT);
  const { redis, keys, clock, config } = fixture;
  await deleteGates({ redis, keys, clock, times: config }, 'acme', true);
  expect(await logEntries()).toHaveLength(1);
  await deleteGates({ redis, keys, clock, times: config }, 'acme', false);
  expect(await logEntries()).toEqual([]);
});
