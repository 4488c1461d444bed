// Foreground and background jobs, with a fake clock.
import { expect, test } from 'vitest';
import { BackgroundGate } from '../../src/handlers/background-gate.ts';
import { FakeClock } from '../support/clock.ts';

function open() {
  const clock = new FakeClock();
  const backgroundGate = new BackgroundGate(clock);
  const stopping = new AbortController();
  /** Whether it has continued by now. */
  async function waits(): Promise<() => Promise<string>> {
    let state = 'waits';
    void backgroundGate.giveWay(stopping.signal).then(
      () => (state = 'continues'),
      (error: unknown) => (state = String(error)),
    );
    const stateNow = async (): Promise<string> => {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      return state;
    };
    await stateNow();
    return stateNow;
  }
  return { clock, backgroundGate, stopping, waits };
}

test('a background job continues at once without foreground jobs', async () => {
  const { waits, clock } = open();
  expect(await (await waits())()).toBe('continues');
  expect(clock.pending).toBe(0);
});

test('a background job continues after the last foreground job', async () => {
  const { backgroundGate, waits, clock } = open();
  const [one, other] = [backgroundGate.enterForeground(), backgroundGate.enterForeground()];
  const stateNow = await waits();
  one();
  expect(await stateNow()).toBe('waits');
  other();
  expect(await stateNow()).toBe('continues');
  expect(clock.pending).toBe(0);
  backgroundGate.enterForeground();
  expect(await (await waits())()).toBe('waits');
});

test('a background job continues after 50 ms of foreground jobs', async () => {
  const { backgroundGate, waits, clock } = open();
  backgroundGate.enterForeground();
  const stateNow = await waits();
  clock.advance(49);
  expect(await stateNow()).toBe('waits');
  clock.advance(1);
  expect(await stateNow()).toBe('continues');
});

test('the abort signal ends the wait with its reason', async () => {
  const { backgroundGate, waits, stopping, clock } = open();
  backgroundGate.enterForeground();
  const stateNow = await waits();
  stopping.abort('it stops');
  expect(await stateNow()).toBe('it stops');
  expect(clock.pending).toBe(0);
});

test('at most one background job runs at a time', () => {
  const { backgroundGate } = open();
  const leave = backgroundGate.enterBackground();
  expect(backgroundGate.enterBackground()).toBeUndefined();
  leave!();
  expect(backgroundGate.enterBackground()).toBeTypeOf('function');
  // A second call does not end another job's turn.
  leave!();
  expect(backgroundGate.enterBackground()).toBeUndefined();
});
