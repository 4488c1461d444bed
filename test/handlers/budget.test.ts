// The byte budget: never exceeded, every job is admitted in time, and all bytes are released.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { ByteBudget } from '../../src/handlers/budget.ts';
import { FakeClock } from '../support/clock.ts';

const never = new AbortController().signal;

/** 800 bytes for 4 slots: large jobs share 400, small ones are up to 100. */
const budgetOf = (clock = new FakeClock()): ByteBudget => new ByteBudget(clock, 800, 4);

/** The state of a turn after all settled promises have been handled. */
async function settled<T>(turn: Promise<T>): Promise<T | 'waiting'> {
  await pass(20);
  return Promise.race([turn, Promise.resolve('waiting' as const)]);
}

const reasonOf = (turn: Promise<unknown>): Promise<unknown> =>
  turn.then(
    () => 'taken',
    (error: unknown) => error,
  );

describe('the budget', () => {
  it('admits small jobs while large ones wait', async () => {
    const budget = budgetOf();
    const first = await budget.take(400, never);
    const large = budget.take(300, never);
    expect(await settled(large)).toBe('waiting');
    expect(budget.isFull(100)).toBe(false);
    const small = await budget.take(100, never);
    expect(budget.inFlight).toBe(500);
    small();
    first();
    (await large)();
    expect(budget.inFlight).toBe(0);
  });

  it('admits large jobs in order, also when a later one would fit', async () => {
    const budget = budgetOf();
    const first = await budget.take(250, never);
    const order: string[] = [];
    const second = budget.take(350, never).then((giveBack) => (order.push('second'), giveBack));
    const third = budget.take(120, never).then((giveBack) => (order.push('third'), giveBack));
    expect(await settled(third)).toBe('waiting');
    expect(budget.isFull(120)).toBe(true);
    first();
    (await second)();
    (await third)();
    expect(order).toEqual(['second', 'third']);
    expect(budget.inFlight).toBe(0);
  });

  it('admits a job larger than itself alone', async () => {
    const budget = budgetOf();
    const first = await budget.take(200, never);
    const huge = budget.take(5_000, never);
    expect(await settled(huge)).toBe('waiting');
    first();
    const giveBack = await huge;
    const next = budget.take(101, never);
    expect(await settled(next)).toBe('waiting');
    giveBack();
    (await next)();
    expect(budget.inFlight).toBe(0);
  });

  it('is released once, regardless of repeated calls', async () => {
    const budget = budgetOf();
    const [large, small, other] = [
      await budget.take(200, never),
      await budget.take(50, never),
      await budget.take(200, never),
    ];
    for (let n = 0; n < 3; n++) [large, small].forEach((giveBack) => giveBack());
    expect(budget.inFlight).toBe(200);
    other();
    expect(budget.inFlight).toBe(0);
  });

  it('is not taken by a job aborted during its wait, and the next one is admitted', async () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock);
    const first = await budget.take(300, never);
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    const huge = budget.take(5_000, controller.signal);
    const next = budget.take(101, never);
    expect(await settled(next)).toBe('waiting');
    controller.abort(reason);
    expect(await reasonOf(huge)).toBe(reason);
    // The job before it has left, but 101 do not fit beside 300.
    expect(await settled(next)).toBe('waiting');
    first();
    (await next)();
    expect(budget.inFlight).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('admits fitting jobs as soon as the one before them aborts', async () => {
    const budget = budgetOf();
    const first = await budget.take(200, never);
    const controller = new AbortController();
    const huge = reasonOf(budget.take(5_000, controller.signal));
    const fits = budget.take(200, never);
    expect(await settled(fits)).toBe('waiting');
    controller.abort(new Error('gone'));
    await huge;
    (await fits)();
    first();
    expect(budget.inFlight).toBe(0);
  });

  it('is not waited for by an aborted job', async () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock);
    const first = await budget.take(400, never);
    const reason = new Error('too late');
    expect(await reasonOf(budget.take(300, AbortSignal.abort(reason)))).toBe(reason);
    first();
    expect([budget.inFlight, clock.pending]).toEqual([0, 0]);
  });

  it('rejects with MEMORY_BUDGET_FULL after one minute', async () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock);
    const first = await budget.take(400, never);
    const turn = budget.take(300, never);
    clock.advance(59_999);
    expect(await settled(turn)).toBe('waiting');
    clock.advance(1);
    const error = await reasonOf(turn);
    expect(error).toBeInstanceOf(SealdexError);
    expect(error).toMatchObject({ code: 'MEMORY_BUDGET_FULL' });
    first();
    expect([budget.inFlight, clock.pending]).toEqual([0, 0]);
  });

  it('leaves neither timer nor listener after an admission', async () => {
    const clock = new FakeClock();
    const budget = budgetOf(clock);
    const first = await budget.take(400, never);
    const controller = new AbortController();
    const turn = budget.take(300, controller.signal);
    first();
    const giveBack = await turn;
    controller.abort(new Error('later'));
    expect([budget.inFlight, clock.pending]).toEqual([300, 0]);
    giveBack();
    expect(budget.inFlight).toBe(0);
  });
});

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** The given number of microtask turns. */
async function pass(turns: number): Promise<void> {
  for (let n = 0; n < turns; n++) await Promise.resolve();
}

describe('for any sequence of jobs', () => {
  const SLOTS = 6;
  const BYTES = 1_200;
  const jobs = fc.array(
    fc.record({
      bytes: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 600 }) }, fc.integer({ min: 601, max: 5_000 })),
      ends: fc.constantFrom('gives back', 'gives back', 'gives back', 'aborts'),
      turns: fc.integer({ min: 0, max: 6 }),
    }),
    { minLength: 1, maxLength: 40 },
  );

  it('the budget is never exceeded but by one job alone, every job is admitted, and all is released', async () => {
    await fc.assert(
      fc.asyncProperty(jobs, async (list) => {
        const clock = new FakeClock();
        const budget = new ByteBudget(clock, BYTES, SLOTS);
        const held = new Set<number>();
        const faults: string[] = [];
        let ended = 0;
        const check = (): void => {
          const bytes = [...held].map((n) => list[n]!.bytes);
          const large = bytes.filter((count) => count > BYTES / 2 / SLOTS);
          if (large.length > 1 && sum(large) > BYTES / 2) faults.push(`large ones in work at once: ${large.join()}`);
          if (large.length !== 1 && sum(bytes) > BYTES) faults.push(`in work at once: ${bytes.join()}`);
          if (budget.inFlight < sum(bytes)) faults.push(`${budget.inFlight} counted of ${bytes.join()}`);
        };
        const queue = list.entries();
        const slot = async (): Promise<void> => {
          for (const [n, { bytes, ends, turns }] of queue) {
            const controller = new AbortController();
            const turn = budget.take(bytes, controller.signal);
            if (ends === 'aborts') void pass(turns).then(() => controller.abort(new Error('gone')));
            const giveBack = await turn.catch((error: Error) => error.message);
            ended += 1;
            if (giveBack === 'gone' && ends === 'aborts') continue;
            if (typeof giveBack === 'string') throw new Error(giveBack);
            held.add(n);
            check();
            await pass(turns);
            check();
            held.delete(n);
            giveBack();
          }
        };
        await Promise.all(Array.from({ length: SLOTS }, slot));
        expect(faults).toEqual([]);
        expect([ended, budget.inFlight, clock.pending]).toEqual([list.length, 0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});
