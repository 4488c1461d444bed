// Who goes first and who can wait, by a clock that the test moves.
import { expect, test } from 'vitest';
import { Precedence } from '../../src/handlers/background-gate.ts';
import { FakeClock } from '../support/clock.ts';

function open() {
  const clock = new FakeClock();
  const precedence = new Precedence(clock);
  const stopping = new AbortController();
  /** Whether it has gone on by now. */
  async function waits(): Promise<() => Promise<string>> {
    let state = 'waits';
    void precedence.giveWay(stopping.signal).then(
      () => (state = 'goes on'),
      (error: unknown) => (state = String(error)),
    );
    const look = async (): Promise<string> => {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      return state;
    };
    await look();
    return look;
  }
  return { clock, precedence, stopping, waits };
}

test('While nobody goes first, who can wait goes on at once', async () => {
  const { waits, clock } = open();
  expect(await (await waits())()).toBe('goes on');
  expect(clock.pending).toBe(0);
});

test('Who can wait goes on when the last one that goes first has ended', async () => {
  const { precedence, waits, clock } = open();
  const [one, other] = [precedence.goFirst(), precedence.goFirst()];
  const look = await waits();
  one();
  expect(await look()).toBe('waits');
  other();
  expect(await look()).toBe('goes on');
  expect(clock.pending).toBe(0);
  precedence.goFirst();
  expect(await (await waits())()).toBe('waits');
});

test('Where others are always in work, who can wait goes on after 50 ms', async () => {
  const { precedence, waits, clock } = open();
  precedence.goFirst();
  const look = await waits();
  clock.advance(49);
  expect(await look()).toBe('waits');
  clock.advance(1);
  expect(await look()).toBe('goes on');
});

test('The signal ends the wait with its reason', async () => {
  const { precedence, waits, stopping, clock } = open();
  precedence.goFirst();
  const look = await waits();
  stopping.abort('it stops');
  expect(await look()).toBe('it stops');
  expect(clock.pending).toBe(0);
});

test('One of those that can wait is in work at a time', () => {
  const { precedence } = open();
  const leave = precedence.goLast();
  expect(precedence.goLast()).toBeUndefined();
  leave!();
  expect(precedence.goLast()).toBeTypeOf('function');
  // Said twice, it does not end another one's.
  leave!();
  expect(precedence.goLast()).toBeUndefined();
});
