// Waiting: with a signal, with a deadline, and with the fake clock.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { sleep, systemClock, withDeadline } from '../../src/runtime/clock.ts';
import { FakeClock } from '../support/clock.ts';

type End = 'open' | 'done' | Error;

/** The state of a promise once all due timers have run. */
async function endOf(promise: Promise<unknown>): Promise<End> {
  let end: End = 'open';
  promise.then(
    () => (end = 'done'),
    (error: Error) => (end = error),
  );
  await turn();
  return end;
}

const late = (): Error => new Error('late');

describe('sleep', () => {
  test('ends at its time and not a millisecond before', async () => {
    const clock = new FakeClock();
    const slept = sleep(clock, 1000);
    clock.advance(999);
    expect(await endOf(slept)).toBe('open');
    clock.advance(1);
    expect(await endOf(slept)).toBe('done');
  });

  test('rejects with the reason of its signal and leaves no timer', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const slept = sleep(clock, 1000, controller.signal);
    const reason = new Error('stopped');
    controller.abort(reason);
    expect(await endOf(slept)).toBe(reason);
    expect(clock.pending).toBe(0);
  });

  test('does not begin under an aborted signal', async () => {
    const clock = new FakeClock();
    const reason = new Error('stopped');
    const slept = sleep(clock, 1000, AbortSignal.abort(reason));
    expect(clock.pending).toBe(0);
    expect(await endOf(slept)).toBe(reason);
  });

  test('is not affected by an abort after its end', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const slept = sleep(clock, 1000, controller.signal);
    clock.advance(1000);
    controller.abort(new Error('stopped'));
    expect(await endOf(slept)).toBe('done');
  });

  test('removes its listener from the signal when it ends', async () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...given: Parameters<typeof add>) => ((listeners += 1), add(...given));
    signal.removeEventListener = (...given: Parameters<typeof remove>) => ((listeners -= 1), remove(...given));
    const slept = sleep(clock, 10, signal);
    expect(listeners).toBe(1);
    clock.advance(10);
    await slept;
    expect(listeners).toBe(0);
  });
});

describe('withDeadline', () => {
  test('returns a result in time, and leaves no timer', async () => {
    const clock = new FakeClock();
    await expect(withDeadline(clock, 10, Promise.resolve(7), late)).resolves.toBe(7);
    await expect(withDeadline(clock, 10, Promise.reject(new Error('broken')), late)).rejects.toThrow('broken');
    await turn();
    expect(clock.pending).toBe(0);
  });

  test('rejects once the time has passed, and not a millisecond before', async () => {
    const clock = new FakeClock();
    const work = withDeadline(clock, 1000, new Promise(() => {}), late);
    clock.advance(999);
    expect(await endOf(work)).toBe('open');
    clock.advance(1);
    expect(await endOf(work)).toEqual(late());
  });

  test('ignores a late result or failure', async () => {
    const clock = new FakeClock();
    const slow = Promise.withResolvers<never>();
    const work = withDeadline(clock, 10, slow.promise, late);
    clock.advance(10);
    slow.reject(new Error('broken'));
    expect(await endOf(work)).toEqual(late());
  });
});

describe('the system clock', () => {
  test('returns both times, the monotonic one never backwards', () => {
    expect(systemClock.now()).toBeGreaterThan(Date.parse('2026-01-01'));
    const before = systemClock.monotonic();
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(before);
  });

  test('runs a timer once, and a negative delay as zero', async () => {
    let runs = 0;
    await new Promise<void>((resolve) => {
      systemClock.after(-5, () => {
        runs += 1;
        resolve();
      });
    });
    expect(runs).toBe(1);
  });

  test("does not fire at once for a delay longer than the maximum of Node's timers", async () => {
    let fired = false;
    const timer = systemClock.after(2 ** 31, () => (fired = true));
    await sleep(systemClock, 5);
    timer.cancel();
    expect(fired).toBe(false);
  });

  test('does not run a canceled timer, even if canceled twice', async () => {
    let fired = false;
    const timer = systemClock.after(0, () => (fired = true));
    timer.cancel();
    timer.cancel();
    await sleep(systemClock, 1);
    expect(fired).toBe(false);
  });
});

describe('the fake clock', () => {
  test('runs due timers in the order of their times, each at its own time', () => {
    const clock = new FakeClock(0);
    const start = clock.monotonic();
    const runs: [string, number, number][] = [];
    const note = (name: string) => () => runs.push([name, clock.now(), clock.monotonic() - start]);
    clock.after(30, note('c'));
    clock.after(10, note('a'));
    clock.after(20, note('b'));
    clock.advance(25);
    expect(runs).toEqual([
      ['a', 10, 10],
      ['b', 20, 20],
    ]);
    expect([clock.now(), clock.monotonic() - start, clock.pending]).toEqual([25, 25, 1]);
  });

  test('runs a timer set by another one if it is due too', () => {
    const clock = new FakeClock();
    let runs = 0;
    clock.after(10, () => clock.after(10, () => (runs += 1)));
    clock.advance(20);
    expect(runs).toBe(1);
  });

  test('drops a canceled timer', () => {
    const clock = new FakeClock();
    let runs = 0;
    clock.after(10, () => (runs += 1)).cancel();
    clock.advance(10);
    expect([runs, clock.pending]).toEqual([0, 0]);
  });

  test('moves the two clocks separately, without running a timer', () => {
    const clock = new FakeClock(0);
    let runs = 0;
    clock.after(10, () => (runs += 1));
    const start = clock.monotonic();
    clock.setWall(5_000);
    expect([clock.now(), clock.monotonic() - start]).toEqual([5_000, 0]);
    clock.skipMonotonic(20);
    expect([clock.now(), clock.monotonic() - start, runs]).toEqual([5_000, 20, 0]);
    clock.advance(0);
    expect(runs).toBe(1);
  });
});
