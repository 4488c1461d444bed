// A draining gate: one process releases, until all jobs are released, the key fails again, the lease is lost, or the process
// stops.
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ProbeDeps } from '../../src/parking/probe.ts';
import { eventually } from '../support/eventually.ts';
import { openParkingFixture, type ParkingFixture, type Process } from './fixture.ts';

let fixture: ParkingFixture;
let keyArn: string;

beforeEach(async () => {
  fixture = await openParkingFixture();
  keyArn = fixture.tenant('acme');
});

afterEach(async () => {
  for (const end of releases.splice(0)) end();
  await fixture[Symbol.asyncDispose]();
});

/** Resolves the releases that still wait. */
const releases: (() => void)[] = [];

/** A release controlled by the test between its batches. */
function stepping(): { release: ProbeDeps['release']; step(): void; begun(): number; answers: boolean[] } {
  let next = Promise.withResolvers<void>();
  let begun = 0;
  let isOver = false;
  const answers: boolean[] = [];
  releases.push(() => {
    isOver = true;
    next.resolve();
  });
  return {
    async release(_, shouldContinue) {
      begun += 1;
      for (;;) {
        await next.promise;
        if (isOver) return false;
        next = Promise.withResolvers();
        const answer = await shouldContinue();
        answers.push(answer);
        if (!answer) return false;
      }
    },
    step: () => next.resolve(),
    begun: () => begun,
    answers,
  };
}

async function draining(process: Process): Promise<number> {
  const { epoch } = await fixture.gate('acme', keyArn);
  await process.write(epoch, fixture.record('acme', keyArn, { state: 'draining', nextProbe: 0 }));
  return epoch + 1;
}

test('a release runs in one process only, and does not delay polling', async () => {
  const release = stepping();
  const fleet = await Promise.all([1, 2, 3].map(() => fixture.process({ release: release.release })));
  await draining(fleet[0]!);
  for (let poll = 0; poll < 3; poll += 1) await Promise.all(fleet.map((process) => process.tick()));
  await eventually(() => release.begun() === 1);
  release.step();
  expect(await eventually(() => release.answers.length === 1 && [...release.answers])).toEqual([true]);
  await Promise.all(fleet.map((process) => process.tick()));
  expect(release.begun()).toBe(1);
});

test('a key that fails during the release stops it and keeps the gate shut', async () => {
  const release = stepping();
  const process = await fixture.process({ release: release.release });
  const epoch = await draining(process);
  await process.tick();
  await eventually(() => release.begun() === 1);
  expect(await process.write(epoch, fixture.record('acme', keyArn))).toBe(true);
  release.step();
  expect(await eventually(() => release.answers.length === 1 && [...release.answers])).toEqual([false]);
  await process.probe.stop();
  expect(await fixture.gate('acme', keyArn)).toMatchObject({ epoch: epoch + 1, record: { state: 'shut' } });
});

test('a process stops its release after the loss of its lease', async () => {
  const release = stepping();
  const process = await fixture.process({ release: release.release });
  await draining(process);
  await process.tick();
  await eventually(() => release.begun() === 1);
  await fixture.redis.del(fixture.keys.lease(`gate:${gateId(keyRef('acme', keyArn))}`));
  const other = await fixture.process();
  await other.tick();
  await eventually(async () => (await fixture.gate('acme', keyArn)).record?.state === 'open');
  release.step();
  expect(await eventually(() => release.answers.length === 1 && [...release.answers])).toEqual([false]);
});

test('a failed or incomplete release continues at the next poll', async () => {
  let times = 0;
  const process = await fixture.process({
    async release() {
      times += 1;
      if (times === 1) throw new Error('Redis is away');
      return times > 2;
    },
  });
  await draining(process);
  await eventually(async () => {
    await process.tick();
    return (await fixture.gate('acme', keyArn)).record?.state === 'open';
  });
  expect(times).toBe(3);
});

test('jobs parked at the gate of a destroyed key are released in each interval', async () => {
  const released: string[] = [];
  const process = await fixture.process({ release: async ({ state }) => released.push(state) > 0 });
  await process.write(0, fixture.record('acme', keyArn, { state: 'destroyed', code: 'KEY_DESTROYED', nextProbe: 0 }));
  for (let round = 1; round <= 2; round += 1) {
    // Again, if the round before is still in its last step.
    await eventually(async () => {
      await process.tick();
      return ((await fixture.gate('acme', keyArn)).record?.nextProbe ?? 0) > fixture.clock.now();
    });
    fixture.later(fixture.config.probeMinMs);
  }
  expect(released).toEqual(['destroyed', 'destroyed']);
  expect(await fixture.gate('acme', keyArn)).toMatchObject({ record: { state: 'destroyed', code: 'KEY_DESTROYED' } });
});

test('a probe can be stopped twice in any state: idle, probing, releasing, never started', async () => {
  const release = stepping();
  const tried = Promise.withResolvers<void>();
  const idle = await fixture.process();
  const trying = await fixture.process({ tryKey: () => tried.promise });
  const releasing = await fixture.process({ release: release.release });
  const globex = fixture.tenant('globex');
  await draining(releasing);
  await releasing.tick();
  await eventually(() => release.begun() === 1);
  await trying.write(0, fixture.record('globex', globex, { nextProbe: 0 }));
  const running = trying.tick();
  await eventually(async () => (await fixture.redis.keys(`${fixture.keys.prefix}:leases:*globex*`)).length === 1);
  await Promise.all([idle.probe.stop(), idle.probe.stop()]);

  const stops = [releasing, trying, releasing, trying].map(({ probe }) => probe.stop());
  release.step();
  tried.resolve();
  await Promise.all([...stops, running]);
  expect(release.answers).toEqual([false]);
  expect(await fixture.gate('globex', globex)).toMatchObject({ record: { goodProbes: 1 } });
  expect(await fixture.redis.keys(`${fixture.keys.prefix}:leases:*`)).toEqual([]);
  // A later call does nothing.
  await releasing.tick();
  expect(release.begun()).toBe(1);
});

test('another process opens the gate if the first dies after the last batch, with no jobs left to release', async () => {
  const left = ['one', 'two', 'three'];
  const sent: string[] = [];
  const releasing = (then: () => Promise<boolean>): ProbeDeps['release'] => {
    return async (_, shouldContinue) => {
      for (let job = left.shift(); job !== undefined; job = left.shift()) {
        expect(await shouldContinue()).toBe(true);
        sent.push(job);
      }
      return then();
    };
  };
  const dead = Promise.withResolvers<boolean>();
  releases.push(() => dead.resolve(false));
  const killed = await fixture.process({ release: releasing(() => dead.promise) });
  await draining(killed);
  await killed.tick();
  await eventually(() => sent.length === 3);
  const next = await fixture.process({ release: releasing(async () => true) });
  await next.tick();
  expect(await fixture.gate('acme', keyArn)).toMatchObject({ record: { state: 'draining' } });
  // A dead process's lease expires.
  await fixture.redis.del(fixture.keys.lease(`gate:${gateId(keyRef('acme', keyArn))}`));
  await eventually(async () => {
    await next.tick();
    return (await fixture.gate('acme', keyArn)).record?.state === 'open';
  });
  expect(sent).toEqual(['one', 'two', 'three']);
});
