// Maintenance tasks: when they are due, that one process of the fleet runs each, and how they are aborted.
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { openRedis, redisKeys, type Redis, type RedisKeys } from '../../src/runtime/redis.ts';
import { startMaintenance, type MaintenanceTask, type MaintenanceLoop } from '../../src/maintenance/scheduler.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';

const HOUR = 3_600_000;

let redis: Redis;
let keys: RedisKeys;
let clock: FakeClock;
let opened: MaintenanceLoop[];
let warnings: { facts: object; message: string }[];

beforeEach(async () => {
  redis = await openRedis({ redisUrl: inject('redisUrl') }, 'patient');
  keys = redisKeys(`t-${randomBytes(6).toString('hex')}`);
  clock = new FakeClock();
  opened = [];
  warnings = [];
});
afterEach(async () => {
  await Promise.all(opened.map((loop) => loop.stop()));
  const left = await redis.keys(`${keys.prefix}*`);
  if (left.length > 0) await redis.unlink(...left);
  redis.disconnect();
});

/** A process of the fleet. */
function start(...tasks: MaintenanceTask[]): MaintenanceLoop {
  const warn = (facts: object, message: string): void => void warnings.push({ facts, message });
  const log = { debug: warn, info: warn, warn, error: warn };
  const loop = startMaintenance({ tasks, redis, keys, clock, log });
  opened.push(loop);
  return loop;
}

const taskOf = (run: MaintenanceTask['run'], name = 'task'): MaintenanceTask => ({ name, everyMs: HOUR, run });

/** Counts its runs; each lasts until `end` is called, or its signal aborts it. */
function longTask(name = 'task') {
  const state = { begun: 0, ended: 0, reason: undefined as unknown, end: (): void => {} };
  const task = taskOf(async (signal) => {
    state.begun += 1;
    await new Promise<void>((resolve, reject) => {
      state.end = resolve;
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    }).catch((error: unknown) => {
      state.reason = error;
      throw error;
    });
    state.ended += 1;
  }, name);
  return { task, state };
}

const leases = (): Promise<string[]> => redis.keys(keys.lease('*'));

describe('a maintenance task', () => {
  it('is due an interval after it was first registered, and after each end', async () => {
    let runs = 0;
    const loop = start(taskOf(async () => void (runs += 1)));
    await loop.tick();
    clock.setWall(clock.now() + HOUR - 1);
    await loop.tick();
    expect(runs).toBe(0);
    clock.setWall(clock.now() + 1);
    await loop.tick();
    await loop.tick();
    expect(runs).toBe(1);
    clock.setWall(clock.now() + HOUR);
    await loop.tick();
    expect(runs).toBe(2);
    expect(await leases()).toEqual([]);
  });

  it('is due by its record in Redis, regardless of the process', async () => {
    let runs = 0;
    const task = taskOf(async () => void (runs += 1));
    await start(task).tick();
    clock.setWall(clock.now() + HOUR);
    await Promise.all(Array.from({ length: 8 }, () => start(task).tick()));
    expect(runs).toBe(1);
  });

  it('runs without calls of tick()', async () => {
    let runs = 0;
    start(taskOf(async () => void (runs += 1)));
    clock.advance(5000);
    await eventually(async () => (await redis.hlen(keys.chores)) === 1);
    clock.advance(HOUR);
    expect(await eventually(() => runs > 0 && runs)).toBe(1);
  });

  it('in progress delays neither the others nor the next tick, and does not run twice', async () => {
    let quick = 0;
    const { task, state } = longTask('long');
    const loop = start(
      task,
      taskOf(async () => void (quick += 1), 'quick'),
    );
    await loop.tick();
    clock.setWall(clock.now() + HOUR);
    const first = loop.tick();
    await eventually(() => quick === 1 && state.begun === 1);
    clock.setWall(clock.now() + HOUR);
    // Again, if the first run of the fast task is still in its last step.
    await eventually(async () => (await loop.tick(), quick === 2));
    expect(state.begun).toBe(1);
    state.end();
    await first;
    expect(state.ended).toBe(1);
  });

  it('with a next time beyond its interval is due, as after a wrong clock', async () => {
    let runs = 0;
    const loop = start(taskOf(async () => void (runs += 1)));
    await redis.hset(keys.chores, 'task', String(clock.now() + 365 * 24 * HOUR));
    await loop.tick();
    expect(runs).toBe(1);
    await redis.hset(keys.chores, 'task', 'no time');
    await loop.tick();
    expect(runs).toBe(2);
  });
});

describe('a failing maintenance task', () => {
  it('is logged once in ten minutes, without its message, and retried after five', async () => {
    let runs = 0;
    const loop = start(
      taskOf(async () => {
        runs += 1;
        throw runs === 1 ? new SealdexError('STORE_FAILED') : new Error('with a secret word');
      }),
    );
    await loop.tick();
    clock.setWall(clock.now() + HOUR);
    await loop.tick();
    await loop.tick();
    expect(runs).toBe(1);
    clock.setWall(clock.now() + 300_000);
    await loop.tick();
    expect(runs).toBe(2);
    expect(warnings).toEqual([{ facts: { code: 'STORE_FAILED', task: 'task' }, message: 'maintenance task failed' }]);
    clock.skipMonotonic(600_000);
    clock.setWall(clock.now() + 300_000);
    await loop.tick();
    expect(warnings).toHaveLength(2);
    expect(JSON.stringify(warnings)).not.toContain('secret');
    expect(await leases()).toEqual([]);
  });
});

/** A long running task. */
async function begun() {
  const { task, state } = longTask();
  const loop = start(task);
  await loop.tick();
  clock.setWall(clock.now() + HOUR);
  const ticking = loop.tick();
  await eventually(() => state.begun === 1);
  return { task, state, loop, ticking };
}

describe('a stop', () => {
  it('aborts the running task, frees its lease, and another process runs it at once', async () => {
    const { task, state, loop, ticking } = await begun();
    await Promise.all([loop.stop(), loop.stop()]);
    await ticking;
    expect(state.ended).toBe(0);
    expect(await leases()).toEqual([]);
    expect(clock.pending).toBe(0);
    const other = start(task);
    const taken = other.tick();
    await eventually(() => state.begun === 2);
    state.end();
    await taken;
    expect([state.ended, warnings]).toEqual([1, []]);
  });

  it('before the first due task leaves no timer', async () => {
    await start(taskOf(async () => {})).stop();
    expect(clock.pending).toBe(0);
  });
});

describe('a lease', () => {
  it('lost by its owner aborts the task there, and does not affect the new owner', async () => {
    const { state, ticking } = await begun();
    const due = await redis.hget(keys.chores, 'task');
    await redis.set(keys.lease('upkeep:task'), 'another');
    clock.advance(15_000);
    await ticking;
    expect(state.reason).toMatchObject({ message: 'the lease is lost' });
    expect(await redis.get(keys.lease('upkeep:task'))).toBe('another');
    expect(await redis.hget(keys.chores, 'task')).toBe(due);
  });

  it('is renewed while the task runs', async () => {
    const { state, ticking } = await begun();
    await redis.pexpire(keys.lease('upkeep:task'), 30_000);
    clock.advance(15_000);
    await eventually(async () => (await redis.pttl(keys.lease('upkeep:task'))) > 50_000);
    state.end();
    await ticking;
    expect(state.ended).toBe(1);
  });
});
