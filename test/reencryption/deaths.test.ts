// A process that re-encrypts a tenant's objects may die between any two steps: the re-encryption continues, once, and is
// reported as done only at its end.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mortal, openReencryptionFixture, type ReencryptionFixture } from './fixture.ts';

const MANY_STEPS = 100;
const DAY_MS = 86_400_000;

const opened = new AsyncDisposableStack();
let fixture: ReencryptionFixture;

beforeAll(async () => {
  fixture = opened.use(await openReencryptionFixture());
});
afterAll(() => opened.disposeAsync());

/**
 * A re-encryption from its start to its end by a process that dies at a step, and by later ones. Returns whether it reached
 * that step.
 */
async function moveWithDeath(tenant: string, step: number, when: 'before' | 'after'): Promise<boolean> {
  const { former, current } = await fixture.changed(tenant, 1);
  const first = mortal(fixture.deps, step, when);
  await first.reencryption.restartStalled(tenant).catch((error: unknown) => {
    if (!first.isDead()) throw error;
  });
  // The operator repeats the command, or maintenance finds it.
  if (first.isDead()) await fixture.healthy.restartStalled(tenant);
  await fixture.runAll(tenant, first);
  expect(await fixture.healthy.restartStalled(tenant)).toBe(false);
  expect(await fixture.under(tenant)).toEqual({ [current]: 1 });
  expect(former).not.toBe(current);
  const { state, counts } = await fixture.healthy.progress(tenant);
  expect(state).toBe('done');
  // Objects re-encrypted before the death, but not yet counted, are found under the current key.
  expect(counts!.moved + counts!.current).toBe(1);
  expect(counts).toMatchObject({ changed: 0, unreadable: 0 });
  return first.isDead();
}

test.each(['before', 'after'] as const)(
  'a re-encryption killed %s any of its steps continues to its end',
  async (when) => {
    let step = 0;
    while (await moveWithDeath(`dies-${when}-${step}`, step, when)) {
      step += 1;
      expect(step).toBeLessThan(MANY_STEPS);
    }
    // The re-encryption has begun, had its pages, and finished.
    expect(step).toBeGreaterThan(15);
  },
);

test('the pass after the former key stopped being used survives the same kills', async () => {
  for (let step = 0, hasDied = true; hasDied; step += 1) {
    const tenant = `second-${step}`;
    const { current } = await fixture.changed(tenant, 1, 0);
    await fixture.healthy.restartStalled(tenant);
    const first = mortal(fixture.deps, step, 'after');
    // Three pages, and the first one of the next pass, which is too early.
    for (let pages = 0; pages < 6; pages += 1) {
      const [jobId] = await fixture.waiting(tenant);
      await fixture.run(jobId!, first.isDead() ? undefined : first);
    }
    hasDied = first.isDead();
    expect(await fixture.waiting(tenant)).toHaveLength(1);
    expect(await fixture.healthy.progress(tenant)).toMatchObject({ state: 'moving' });
    expect(await fixture.under(tenant)).toEqual({ [current]: 1 });
    fixture.clock.advance(DAY_MS);
    await fixture.runAll(tenant).finally(() => fixture.clock.advance(-DAY_MS));
    expect(await fixture.healthy.progress(tenant)).toMatchObject({ state: 'done', counts: { moved: 0, current: 1 } });
  }
});
