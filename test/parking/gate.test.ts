// Gates as processes see them: changed only with the current epoch, published at once, recovered by polling, never by
// outdated messages.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { SealdexError, type Code } from '../../src/runtime/errors.ts';
import { deleteGates } from '../../src/parking/delete-gates.ts';
import type { GateEvent } from '../../src/parking/gate-events.ts';
import { NO_GATE } from '../../src/parking/gate-record.ts';
import { eventually } from '../support/eventually.ts';
import { openParkingFixture, type ParkingFixture, type Process } from './fixture.ts';

let fixture: ParkingFixture;
let here: Process;
let there: Process;
let keyArn: string;

beforeEach(async () => {
  fixture = await openParkingFixture();
  [here, there] = [await fixture.process(), await fixture.process()];
  keyArn = fixture.tenant('acme');
});

afterEach(() => fixture[Symbol.asyncDispose]());

const stateIn = ({ gates }: Process, tenant = 'acme'): string | undefined =>
  gates.get(keyRef(tenant, keyArn)).record?.state;
const refusalIn = ({ gates }: Process): SealdexError | undefined => gates.refusal(keyRef('acme', keyArn));

/** Changes the current gate. */
async function change({ gates }: Process, state: 'shut' | 'draining' | 'open', tenant = 'acme'): Promise<void> {
  expect((await gates.apply(keyRef(tenant, keyArn), TO[state])).isChanged).toBe(true);
}

const keyFailed = (code: Code = 'KEY_DISABLED'): GateEvent => ({
  kind: 'keyFailed',
  error: new SealdexError(code),
  isCurrent: true,
});

const TO = {
  shut: keyFailed(),
  draining: { kind: 'operatorReleased' },
  open: { kind: 'drained', isDetached: false },
} satisfies Record<string, GateEvent>;

/** A failed KMS call that began when the gate had this epoch and was not shut. */
const fails = async ({ gates }: Process, epoch: number, code?: Code, tenant = 'acme'): Promise<boolean> =>
  (await gates.apply(keyRef(tenant, keyArn), keyFailed(code), { epoch })).isChanged;

test('a change with an old epoch is rejected, and the caller receives the current gate', async () => {
  await there.unsubscribe();
  await change(here, 'shut');
  expect(await fails(there, 0, 'KEY_DENIED')).toBe(false);
  expect(there.gates.get(keyRef('acme', keyArn))).toEqual(await fixture.gate('acme', keyArn));
  expect((await fixture.gate('acme', keyArn)).record?.code).toBe('KEY_DISABLED');
});

test('a gate shut and opened meanwhile is not shut by an older failure', async () => {
  for (const state of ['shut', 'draining', 'open'] as const) await change(here, state);
  const epochs = [0, 1, 2, 4];
  for (const epoch of epochs) expect(await fails(there, epoch)).toBe(false);
  expect(await fixture.gate('acme', keyArn)).toMatchObject({ epoch: 3, record: { state: 'open' } });
});

test('one of many parallel changes of a gate is applied', async () => {
  const tries = Array.from({ length: 20 }, (_, at) => fails([here, there][at % 2]!, 0));
  expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
});

test('a change reaches other processes at once, without polling', async () => {
  await change(here, 'shut');
  expect(await eventually(() => refusalIn(there)?.code)).toBe('KEY_DISABLED');
  await change(here, 'draining');
  await eventually(() => stateIn(there) === 'draining');
  expect(refusalIn(there)).toBeUndefined();
});

test('polling recovers a lost pub/sub message', async () => {
  await there.unsubscribe();
  await change(here, 'shut');
  expect(refusalIn(there)).toBeUndefined();
  await there.gates.tick();
  expect(refusalIn(there)?.code).toBe('KEY_DISABLED');
});

test('a rejected change does not hide a change of another gate after a lost message', async () => {
  await there.unsubscribe();
  await change(here, 'shut');
  await there.gates.tick();
  await change(here, 'shut', 'globex');
  expect(await fails(there, 0)).toBe(false);
  await there.gates.tick();
  expect(stateIn(there, 'globex')).toBe('shut');
});

test('a message received during a poll is not overwritten by that poll', async () => {
  let meanwhile = async (): Promise<void> => {};
  const polling = await fixture.process({
    through: (redis) =>
      Object.assign(Object.create(redis) as typeof redis, {
        async hscan(...args: Parameters<typeof redis.hscan>) {
          const read = await redis.hscan(...args);
          await meanwhile();
          return read;
        },
      }),
  });
  // The first change happens before the poll and is published during it, as is the second.
  await fixture.redis.hset(fixture.keys.gates, 'late', `1 ${JSON.stringify(fixture.record('late', keyArn))}`);
  await fixture.redis.incr(fixture.keys.gateEpoch);
  meanwhile = async () => {
    const late = fixture.record('globex', keyArn);
    await fixture.redis.publish(
      fixture.keys.gateChanged,
      `1 ${gateId(keyRef('globex', keyArn))} 1 ${JSON.stringify(late)}`,
    );
    await change(here, 'shut');
    await eventually(() => stateIn(polling) === 'shut');
  };
  await polling.gates.tick();
  expect(stateIn(polling)).toBe('shut');
});

test('an old message changes nothing', async () => {
  await change(here, 'shut');
  const old = (await fixture.redis.hget(fixture.keys.gates, gateId(keyRef('acme', keyArn)))) ?? '';
  for (const state of ['draining', 'open'] as const) await change(here, state);
  await eventually(() => stateIn(there) === 'open');
  await fixture.redis.publish(fixture.keys.gateChanged, `1 ${gateId(keyRef('acme', keyArn))} ${old}`);
  await fixture.redis.publish(fixture.keys.gateChanged, 'no news at all');
  // Messages are ordered: when this one arrives, the old one has arrived.
  await change(here, 'shut', 'globex');
  await eventually(() => stateIn(there, 'globex') === 'shut');
  expect(stateIn(there)).toBe('open');
  expect(there.closed.map(({ tenant }) => tenant)).toEqual(['acme', 'globex']);
});

test('every process gets each shutting once, by message or by poll', async () => {
  await change(here, 'shut');
  await eventually(() => stateIn(there) === 'shut');
  await here.gates.tick();
  await there.gates.tick();
  expect(await here.write(1, fixture.record('acme', keyArn, { code: 'KEY_DENIED' }))).toBe(true);
  expect([here.closed.length, await eventually(() => there.closed.length)]).toEqual([1, 1]);
  for (const state of ['draining', 'open', 'shut'] as const) await change(here, state);
  await eventually(() => there.gates.get(keyRef('acme', keyArn)).epoch === 5);
  expect([here.closed.length, there.closed.length]).toEqual([2, 2]);
  expect(await here.write(5, fixture.record('acme', keyArn, { state: 'destroyed' }))).toBe(true);
  expect(here.closed).toHaveLength(2);
});

test('a process forgets all gates when Redis has lost them', async () => {
  await change(here, 'shut');
  await fixture.redis.del(fixture.keys.gates, fixture.keys.gateEpoch);
  await here.gates.tick();
  expect(here.gates.get(keyRef('acme', keyArn))).toEqual(NO_GATE);
  expect(here.gates.all()).toEqual([]);
  await change(here, 'shut', 'globex');
  expect(stateIn(here, 'globex')).toBe('shut');
});

/** A foreign gate: Redis' own epoch has never been so high. */
const forged = (epoch: number | string): string =>
  `${epoch} ${JSON.stringify(fixture.record('acme', keyArn, { state: 'open' }))}`;

test.for(['999999999999999', '9999999999999999', '5'])(
  'a foreign gate with epoch %s in Redis hides no later change',
  async (epoch) => {
    await fixture.redis.hset(fixture.keys.gates, gateId(keyRef('acme', keyArn)), forged(epoch));
    await fixture.redis.incr(fixture.keys.gateEpoch);
    await Promise.all([here.gates.tick(), there.gates.tick()]);
    expect(await fixture.gate('acme', keyArn)).toEqual(NO_GATE);
    expect(here.gates.get(keyRef('acme', keyArn))).toEqual(NO_GATE);
    expect(await fails(here, 0)).toBe(true);
    expect(await eventually(() => refusalIn(there)?.code)).toBe('KEY_DISABLED');
    await there.unsubscribe();
    for (const state of ['draining', 'open'] as const) await change(here, state);
    await there.gates.tick();
    expect([stateIn(here), stateIn(there)]).toEqual(['open', 'open']);
  },
);

test('a gate of a newer version is unknown to every process, and no event or deletion changes it', async () => {
  await change(here, 'shut');
  const [id, epoch] = [gateId(keyRef('acme', keyArn)), await fixture.redis.incr(fixture.keys.gateEpoch)];
  const newer = `${epoch} ${JSON.stringify({ ...fixture.record('acme', keyArn), v: 2, state: 'throttled' })}`;
  await fixture.redis.hset(fixture.keys.gates, id, newer);
  await there.gates.tick();
  const error = {
    code: 'GATE_UNKNOWN',
    reason: 'Newer',
    message: 'The gate of tenant acme was written by a newer release of sealdex. Upgrade this process.',
  };
  expect(refusalIn(there)).toMatchObject(error);
  await expect(there.gates.apply(keyRef('acme', keyArn), { kind: 'operatorReleased' })).rejects.toMatchObject(error);
  const { redis, keys, clock, config } = fixture;
  const deleting = deleteGates({ redis, keys, clock, times: config }, 'acme', false);
  await expect(deleting).rejects.toMatchObject(error);
  expect(await fixture.redis.hget(fixture.keys.gates, id)).toBe(newer);
});

test('a foreign message about a gate has effect until the next poll, and a real change replaces it', async () => {
  await change(here, 'shut');
  await eventually(() => stateIn(there) === 'shut');
  const publishForged = async (): Promise<void> => {
    await fixture.redis.publish(
      fixture.keys.gateChanged,
      `999999999999999 ${gateId(keyRef('acme', keyArn))} ${forged('999999999999999')}`,
    );
    await eventually(() => stateIn(there) === 'open');
  };
  await publishForged();
  await there.gates.tick();
  expect(refusalIn(there)?.code).toBe('KEY_DISABLED');
  expect(there.closed).toHaveLength(2);
  await publishForged();
  expect(await fails(there, 0)).toBe(false);
  expect(refusalIn(there)?.code).toBe('KEY_DISABLED');
});

test.for(['999999999999999', '9'.repeat(30), '007', 'nonsense'])(
  'an epoch counter set to %s hides no later change of this or another gate',
  async (counter) => {
    await change(here, 'shut');
    await fixture.redis.set(fixture.keys.gateEpoch, counter);
    await Promise.all([here.gates.tick(), there.gates.tick()]);
    await there.unsubscribe();
    for (const tenant of ['acme', 'globex', 'initech']) {
      const { epoch } = await fixture.gate(tenant, keyArn);
      expect(await fails(here, epoch, 'KEY_DISABLED', tenant)).toBe(true);
      await there.gates.tick();
      expect([stateIn(here, tenant), stateIn(there, tenant)]).toEqual(['shut', 'shut']);
    }
  },
);

test('a Redis that lost its last second is followed, even if other gates have raised the epoch again', async () => {
  await change(here, 'shut');
  const id = gateId(keyRef('acme', keyArn));
  const kept = (await fixture.redis.hget(fixture.keys.gates, id)) ?? '';
  for (const state of ['draining', 'open'] as const) await change(here, state);
  await here.gates.tick();
  await here.unsubscribe();
  await fixture.redis.hset(fixture.keys.gates, id, kept);
  await fixture.redis.set(fixture.keys.gateEpoch, '1');
  await here.gates.tick();
  expect(refusalIn(here)?.code).toBe('KEY_DISABLED');
  expect(await here.write(1, fixture.record('acme', keyArn, { state: 'open' }))).toBe(true);
  await fixture.redis.hset(fixture.keys.gates, id, kept);
  await fixture.redis.set(fixture.keys.gateEpoch, '1');
  for (const state of ['shut', 'draining'] as const) await change(there, state, 'globex');
  await here.gates.tick();
  expect([stateIn(here), stateIn(here, 'globex')]).toEqual(['shut', 'draining']);
});

test.for(['7 no record', '7 {"state":"shut"}', 'nothing'])(
  'a gate with the content "%s" counts as missing: KMS decides',
  async (text) => {
    await fixture.redis.hset(fixture.keys.gates, gateId(keyRef('acme', keyArn)), text);
    await fixture.redis.set(fixture.keys.gateEpoch, '7');
    await here.gates.tick();
    expect(refusalIn(here)).toBeUndefined();
    expect(here.closed).toEqual([]);
    const { epoch } = here.gates.get(keyRef('acme', keyArn));
    expect(await fails(here, epoch)).toBe(true);
    expect(refusalIn(here)?.code).toBe('KEY_DISABLED');
  },
);

test('a gate unread for 5 s is unknown until the next poll', async () => {
  fixture.clock.skipMonotonic(5000);
  expect(refusalIn(here)).toBeUndefined();
  fixture.clock.skipMonotonic(1);
  expect(refusalIn(here)?.code).toBe('GATE_UNKNOWN');
  await here.gates.tick();
  expect(refusalIn(here)).toBeUndefined();
});

test('refresh() polls once for all callers after 5 s, and reports a gate shut meanwhile', async () => {
  expect(there.gates.refresh()).toBeUndefined();
  await there.unsubscribe();
  expect(await fails(here, 0)).toBe(true);
  fixture.clock.skipMonotonic(5001);
  const polling = there.gates.refresh();
  expect(polling).toBeInstanceOf(Promise);
  expect(there.gates.refresh()).toBe(polling);
  await polling;
  expect(there.closed).toHaveLength(1);
  expect(there.gates.refresh()).toBeUndefined();
});

test('a read started before a freeze does not overwrite newer gate state', async () => {
  const slow = await fixture.process({
    through: (redis) =>
      Object.assign(Object.create(redis) as typeof redis, {
        async get(key: string) {
          const read = await redis.get(key);
          fixture.clock.skipMonotonic(6000);
          return read;
        },
      }),
  });
  await slow.gates.tick();
  expect(refusalIn(slow)?.code).toBe('GATE_UNKNOWN');
  expect(slow.gates.refresh()).toBeInstanceOf(Promise);
});

test('a shut gate’s error has the facts of the key, and an operator stop takes precedence', async () => {
  const record = fixture.record('acme', keyArn, {
    code: 'KEY_PENDING_DELETION',
    reason: 'KMSInvalidStateException',
    deletesAt: 7,
    deniedBy: 'tenant',
    since: 5,
  });
  await here.write(0, record);
  const { code, reason, deletesAt, deniedBy, since } = record;
  expect(refusalIn(here)).toMatchObject({ code, keyArn, reason, deletesAt, deniedBy, since });
  const operatorStop = { code: 'TENANT_PAUSED', since: 3, reason: 'incident' } as const;
  const refused = here.gates.refusal({ ...keyRef('acme', keyArn), operatorStop });
  expect(refused).toMatchObject({ code: 'TENANT_PAUSED', keyArn, since: 3 });
  expect(refused?.message).not.toContain('incident');
});

test('reads of missing gates and rejected changes use no memory', async () => {
  for (let at = 0; at < 50; at += 1) {
    expect(refusalIn(here)).toBeUndefined();
    await fails(here, 99, 'KEY_DISABLED', `tenant-${at}`);
  }
  expect(here.gates.all()).toEqual([]);
});

test('gates can be stopped twice, also at once, and leave no timer', async () => {
  const before = fixture.clock.pending;
  const { gates } = await fixture.process();
  expect(fixture.clock.pending).toBeGreaterThan(before);
  await Promise.all([gates.stop(), gates.stop()]);
  await gates.stop();
  // The remaining timer belongs to the process' probe.
  expect(fixture.clock.pending).toBe(before + 1);
});
