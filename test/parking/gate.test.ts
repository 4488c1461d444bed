// Gates as processes see them: changed only by who knows how they are, told at once, healed by a look, never by old news.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { SealdexError, type Code } from '../../src/runtime/errors.ts';
import type { GateEvent } from '../../src/parking/gate-events.ts';
import { NO_GATE } from '../../src/parking/gate-record.ts';
import { eventually } from '../support/eventually.ts';
import { openParkingRoom, type ParkingRoom, type Process } from './fixture.ts';

let room: ParkingRoom;
let here: Process;
let there: Process;
let keyArn: string;

beforeEach(async () => {
  room = await openParkingRoom();
  [here, there] = [await room.process(), await room.process()];
  keyArn = room.tenant('acme');
});

afterEach(() => room[Symbol.asyncDispose]());

const stateIn = ({ gates }: Process, tenant = 'acme'): string | undefined =>
  gates.get(keyRef(tenant, keyArn)).record?.state;
const refusalIn = ({ gates }: Process): SealdexError | undefined => gates.refusal(keyRef('acme', keyArn));

/** Changes the gate as it is now. */
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

/** A KMS call failed that began when the gate had this epoch and was not shut. */
const fails = async ({ gates }: Process, epoch: number, code?: Code, tenant = 'acme'): Promise<boolean> =>
  (await gates.apply(keyRef(tenant, keyArn), keyFailed(code), { epoch })).isChanged;

test('A gate that was changed meanwhile is not changed, and whoever tried learns how it stands', async () => {
  await there.deafen();
  await change(here, 'shut');
  expect(await fails(there, 0, 'KEY_DENIED')).toBe(false);
  expect(there.gates.get(keyRef('acme', keyArn))).toEqual(await room.gate('acme', keyArn));
  expect((await room.gate('acme', keyArn)).record?.code).toBe('KEY_DISABLED');
});

test('A gate that was shut and opened meanwhile is not shut by old news', async () => {
  for (const state of ['shut', 'draining', 'open'] as const) await change(here, state);
  const epochs = [0, 1, 2, 4];
  for (const epoch of epochs) expect(await fails(there, epoch)).toBe(false);
  expect(await room.gate('acme', keyArn)).toMatchObject({ epoch: 3, record: { state: 'open' } });
});

test('Of many who change a gate at once, one does', async () => {
  const tries = Array.from({ length: 20 }, (_, at) => fails([here, there][at % 2]!, 0));
  expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1);
});

test('A change is told to the other processes at once, without a look of theirs', async () => {
  await change(here, 'shut');
  expect(await eventually(() => refusalIn(there)?.code)).toBe('KEY_DISABLED');
  await change(here, 'draining');
  await eventually(() => stateIn(there) === 'draining');
  expect(refusalIn(there)).toBeUndefined();
});

test('A message that was lost is made up for by the next look', async () => {
  await there.deafen();
  await change(here, 'shut');
  expect(refusalIn(there)).toBeUndefined();
  await there.gates.tick();
  expect(refusalIn(there)?.code).toBe('KEY_DISABLED');
});

test('A change that was refused does not hide the change of another gate whose message was lost', async () => {
  await there.deafen();
  await change(here, 'shut');
  await there.gates.tick();
  await change(here, 'shut', 'globex');
  expect(await fails(there, 0)).toBe(false);
  await there.gates.tick();
  expect(stateIn(there, 'globex')).toBe('shut');
});

test('What is told while a process looks is not forgotten by that look', async () => {
  let meanwhile = async (): Promise<void> => {};
  const looking = await room.process({
    through: (redis) =>
      Object.assign(Object.create(redis) as typeof redis, {
        async hgetall(key: string) {
          const read = await redis.hgetall(key);
          await meanwhile();
          return read;
        },
      }),
  });
  // The first change has happened when the look begins, and is told while it goes on, as is the second.
  await room.redis.hset(room.keys.gates, 'late', `1 ${JSON.stringify(room.record('late', keyArn))}`);
  await room.redis.incr(room.keys.gateEpoch);
  meanwhile = async () => {
    const late = room.record('globex', keyArn);
    await room.redis.publish(room.keys.gateChanged, `1 ${gateId(keyRef('globex', keyArn))} 1 ${JSON.stringify(late)}`);
    await change(here, 'shut');
    await eventually(() => stateIn(looking) === 'shut');
  };
  await looking.gates.tick();
  expect(stateIn(looking)).toBe('shut');
});

test('Old news change nothing', async () => {
  await change(here, 'shut');
  const old = (await room.redis.hget(room.keys.gates, gateId(keyRef('acme', keyArn)))) ?? '';
  for (const state of ['draining', 'open'] as const) await change(here, state);
  await eventually(() => stateIn(there) === 'open');
  await room.redis.publish(room.keys.gateChanged, `1 ${gateId(keyRef('acme', keyArn))} ${old}`);
  await room.redis.publish(room.keys.gateChanged, 'no news at all');
  // Messages keep their order: when this one is here, the old one was.
  await change(here, 'shut', 'globex');
  await eventually(() => stateIn(there, 'globex') === 'shut');
  expect(stateIn(there)).toBe('open');
  expect(there.closed.map(({ tenant }) => tenant)).toEqual(['acme', 'globex']);
});

test('Every process hears once of each shutting, however it learns of it', async () => {
  await change(here, 'shut');
  await eventually(() => stateIn(there) === 'shut');
  await here.gates.tick();
  await there.gates.tick();
  expect(await here.write(1, room.record('acme', keyArn, { code: 'KEY_DENIED' }))).toBe(true);
  expect([here.closed.length, await eventually(() => there.closed.length)]).toEqual([1, 1]);
  for (const state of ['draining', 'open', 'shut'] as const) await change(here, state);
  await eventually(() => there.gates.get(keyRef('acme', keyArn)).epoch === 5);
  expect([here.closed.length, there.closed.length]).toEqual([2, 2]);
  expect(await here.write(5, room.record('acme', keyArn, { state: 'destroyed' }))).toBe(true);
  expect(here.closed).toHaveLength(2);
});

test('A Redis that has forgotten everything makes the view forget too', async () => {
  await change(here, 'shut');
  await room.redis.del(room.keys.gates, room.keys.gateEpoch);
  await here.gates.tick();
  expect(here.gates.get(keyRef('acme', keyArn))).toEqual(NO_GATE);
  expect(here.gates.all()).toEqual([]);
  await change(here, 'shut', 'globex');
  expect(stateIn(here, 'globex')).toBe('shut');
});

/** A gate that nobody of ours wrote: Redis' own epoch has never come so far. */
const forged = (epoch: number | string): string =>
  `${epoch} ${JSON.stringify(room.record('acme', keyArn, { state: 'open' }))}`;

test.for(['999999999999999', '9999999999999999', '5'])(
  'A gate that somebody wrote into Redis with epoch %s hides no change of ours',
  async (epoch) => {
    await room.redis.hset(room.keys.gates, gateId(keyRef('acme', keyArn)), forged(epoch));
    await room.redis.incr(room.keys.gateEpoch);
    await Promise.all([here.gates.tick(), there.gates.tick()]);
    expect(await room.gate('acme', keyArn)).toEqual(NO_GATE);
    expect(here.gates.get(keyRef('acme', keyArn))).toEqual(NO_GATE);
    expect(await fails(here, 0)).toBe(true);
    expect(await eventually(() => refusalIn(there)?.code)).toBe('KEY_DISABLED');
    await there.deafen();
    for (const state of ['draining', 'open'] as const) await change(here, state);
    await there.gates.tick();
    expect([stateIn(here), stateIn(there)]).toEqual(['open', 'open']);
  },
);

test('A gate that somebody told past Redis lasts until the next look, and a change in between takes its place', async () => {
  await change(here, 'shut');
  await eventually(() => stateIn(there) === 'shut');
  const tell = async (): Promise<void> => {
    await room.redis.publish(
      room.keys.gateChanged,
      `999999999999999 ${gateId(keyRef('acme', keyArn))} ${forged('999999999999999')}`,
    );
    await eventually(() => stateIn(there) === 'open');
  };
  await tell();
  await there.gates.tick();
  expect(refusalIn(there)?.code).toBe('KEY_DISABLED');
  expect(there.closed).toHaveLength(2);
  await tell();
  expect(await fails(there, 0)).toBe(false);
  expect(refusalIn(there)?.code).toBe('KEY_DISABLED');
});

test.for(['999999999999999', '9'.repeat(30), '007', 'nonsense'])(
  'A counter that somebody set to %s hides no change of ours, nor of another gate afterwards',
  async (counter) => {
    await change(here, 'shut');
    await room.redis.set(room.keys.gateEpoch, counter);
    await Promise.all([here.gates.tick(), there.gates.tick()]);
    await there.deafen();
    for (const tenant of ['acme', 'globex', 'initech']) {
      const { epoch } = await room.gate(tenant, keyArn);
      expect(await fails(here, epoch, 'KEY_DISABLED', tenant)).toBe(true);
      await there.gates.tick();
      expect([stateIn(here, tenant), stateIn(there, tenant)]).toEqual(['shut', 'shut']);
    }
  },
);

test('A Redis that has lost its last second is followed, also when other gates have brought its epoch back meanwhile', async () => {
  await change(here, 'shut');
  const id = gateId(keyRef('acme', keyArn));
  const kept = (await room.redis.hget(room.keys.gates, id)) ?? '';
  for (const state of ['draining', 'open'] as const) await change(here, state);
  await here.gates.tick();
  await here.deafen();
  await room.redis.hset(room.keys.gates, id, kept);
  await room.redis.set(room.keys.gateEpoch, '1');
  await here.gates.tick();
  expect(refusalIn(here)?.code).toBe('KEY_DISABLED');
  expect(await here.write(1, room.record('acme', keyArn, { state: 'open' }))).toBe(true);
  await room.redis.hset(room.keys.gates, id, kept);
  await room.redis.set(room.keys.gateEpoch, '1');
  for (const state of ['shut', 'draining'] as const) await change(there, state, 'globex');
  await here.gates.tick();
  expect([stateIn(here), stateIn(here, 'globex')]).toEqual(['shut', 'draining']);
});

test.for(['7 no record', '7 {"state":"shut"}', 'nothing'])(
  'A gate that reads "%s" is none: KMS decides',
  async (text) => {
    await room.redis.hset(room.keys.gates, gateId(keyRef('acme', keyArn)), text);
    await room.redis.set(room.keys.gateEpoch, '7');
    await here.gates.tick();
    expect(refusalIn(here)).toBeUndefined();
    expect(here.closed).toEqual([]);
    const { epoch } = here.gates.get(keyRef('acme', keyArn));
    expect(await fails(here, epoch)).toBe(true);
    expect(refusalIn(here)?.code).toBe('KEY_DISABLED');
  },
);

test('A gate that nobody could read for 5 s is unknown, and known again after a look', async () => {
  room.clock.skipMonotonic(5000);
  expect(refusalIn(here)).toBeUndefined();
  room.clock.skipMonotonic(1);
  expect(refusalIn(here)?.code).toBe('GATE_UNKNOWN');
  await here.gates.tick();
  expect(refusalIn(here)).toBeUndefined();
});

test('Whoever needs to know after 5 s without a look has one made, one for all, and hears what was shut meanwhile', async () => {
  expect(there.gates.refresh()).toBeUndefined();
  await there.deafen();
  expect(await fails(here, 0)).toBe(true);
  room.clock.skipMonotonic(5001);
  const looking = there.gates.refresh();
  expect(looking).toBeInstanceOf(Promise);
  expect(there.gates.refresh()).toBe(looking);
  await looking;
  expect(there.closed).toHaveLength(1);
  expect(there.gates.refresh()).toBeUndefined();
});

test('A look that began before a process froze is no news when it ends', async () => {
  const slow = await room.process({
    through: (redis) =>
      Object.assign(Object.create(redis) as typeof redis, {
        async get(key: string) {
          const read = await redis.get(key);
          room.clock.skipMonotonic(6000);
          return read;
        },
      }),
  });
  await slow.gates.tick();
  expect(refusalIn(slow)?.code).toBe('GATE_UNKNOWN');
  expect(slow.gates.refresh()).toBeInstanceOf(Promise);
});

test('A refusal says what is known of the key, and the operator has the first word', async () => {
  const record = room.record('acme', keyArn, {
    code: 'KEY_PENDING_DELETION',
    reason: 'KMSInvalidStateException',
    deletesAt: 7,
    since: 5,
  });
  await here.write(0, record);
  const { code, reason, deletesAt, since } = record;
  expect(refusalIn(here)).toMatchObject({ code, keyArn, reason, deletesAt, since });
  const operatorStop = { code: 'TENANT_PAUSED', since: 3, reason: 'incident' } as const;
  const said = here.gates.refusal({ ...keyRef('acme', keyArn), operatorStop });
  expect(said).toMatchObject({ code: 'TENANT_PAUSED', keyArn, since: 3 });
  expect(said?.message).not.toContain('incident');
});

test('Whoever asks for gates that nobody shut, or tries to change them in vain, fills no memory', async () => {
  for (let at = 0; at < 50; at += 1) {
    expect(refusalIn(here)).toBeUndefined();
    await fails(here, 99, 'KEY_DISABLED', `tenant-${at}`);
  }
  expect(here.gates.all()).toEqual([]);
});

test('Gates may be stopped twice, also at once, and leave no timer', async () => {
  const before = room.clock.pending;
  const { gates } = await room.process();
  expect(room.clock.pending).toBeGreaterThan(before);
  await Promise.all([gates.stop(), gates.stop()]);
  await gates.stop();
  // What is left is the process' probe.
  expect(room.clock.pending).toBe(before + 1);
});
