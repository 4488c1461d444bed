// A keyed limiter: calls of one key wait for each other, others do not, and no slot is lost or kept forever.
import { expect, test } from 'vitest';
import { KeyedLimiter } from '../../src/keys/keyed-limiter.ts';
import { eventually } from '../support/eventually.ts';

const never = new AbortController().signal;

function held(): { work: () => Promise<string>; go: (result: string) => void; readonly started: boolean } {
  const gate = Promise.withResolvers<string>();
  let started = false;
  return {
    work: () => ((started = true), gate.promise),
    go: gate.resolve,
    get started() {
      return started;
    },
  };
}

test('tasks of one key run up to the limit, in order, and do not delay another key', async () => {
  const limiter = new KeyedLimiter(2);
  const works = Array.from({ length: 4 }, held);
  const runs = works.map(({ work }) => limiter.run('a', never, work));
  expect(works.map((work) => work.started)).toEqual([true, true, false, false]);
  expect(await limiter.run('b', never, () => Promise.resolve('b'))).toBe('b');
  works[1]!.go('second');
  expect(await runs[1]).toBe('second');
  await eventually(() => works[2]!.started);
  expect(works[3]!.started).toBe(false);
  for (const { go } of works) go('rest');
  expect(await Promise.all(runs)).toEqual(['rest', 'second', 'rest', 'rest']);
});

test('a failed task frees its slot for the next', async () => {
  const limiter = new KeyedLimiter(1);
  const failing = limiter.run('a', never, () => Promise.reject(new Error('no')));
  const next = limiter.run('a', never, () => Promise.resolve('yes'));
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
});

test('an aborted waiter never runs and frees its slot', async () => {
  const limiter = new KeyedLimiter(1);
  const [first, given, last] = [held(), held(), held()];
  const running = limiter.run('a', never, first.work);
  const impatient = new AbortController();
  const waiting = limiter.run('a', impatient.signal, given.work);
  const behind = limiter.run('a', never, last.work);
  impatient.abort(new Error('too late'));
  await expect(waiting).rejects.toThrow('too late');
  first.go('done');
  last.go('done');
  expect(await Promise.all([running, behind])).toEqual(['done', 'done']);
  expect(given.started).toBe(false);
});

test.each(['before', 'after'])(
  'a released slot is not lost when its next waiter aborts at that moment (abort %s)',
  async (when) => {
    const limiter = new KeyedLimiter(1);
    const first = held();
    const running = limiter.run('a', never, first.work);
    const impatient = new AbortController();
    const waiting = limiter.run('a', impatient.signal, () => Promise.resolve('ran'));
    const outcome = waiting.catch((error: Error) => error.message);
    if (when === 'before') impatient.abort(new Error('too late'));
    first.go('done');
    // One microtask turn after the end of the first task its slot is passed on; the abort comes in the same turn.
    await running;
    impatient.abort(new Error('too late'));
    expect(['ran', 'too late']).toContain(await outcome);
    expect(await limiter.run('a', never, () => Promise.resolve('free'))).toBe('free');
  },
);
