// A job ends at its deadline whichever step hangs, is handed back when the process stops, and uses memory only within the
// budget.
import type { SetFault } from '../../packages/local-aws/src/fault-injection.ts';
import { expect, test } from 'vitest';
import { ByteBudget } from '../../src/handlers/budget.ts';
import { JOB_MS } from '../../src/handlers/handle.ts';
import { documentOf } from '../support/documents.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { openHandlerFixture } from './fixture.ts';

const DEADLINE = { kind: 'retry', code: 'DEADLINE', spendsAttempt: true };

test.for(['get tenants/', 'get intake/', 'put documents/', 'KMS'] as const)(
  'a job that hangs at %s ends at its deadline and spends an attempt',
  async (where) => {
    using fixture = await openHandlerFixture();
    const keyArn = await fixture.tenant('acme');
    const job = await fixture.forge({ tenant: 'acme', keyArn, inlineBytes: 0 });
    const { bucket, kms } = fixture;
    const fault = { kind: 'hang' } as const;
    const setHang = (): SetFault => {
      if (where === 'KMS') return kms.faults.set({ fault });
      const [operation, prefix] = where.split(' ') as ['get' | 'put', string];
      return bucket.faults.set({ match: { operation, prefix }, fault });
    };
    const hang = setHang();
    const clock = new FakeClock();
    const outcome = fixture.handle(job, { deps: { clock }, queuedAt: clock.now() });
    await eventually(() => hang.waiting === 1);
    clock.advance(JOB_MS);
    expect(await outcome).toEqual(DEADLINE);
    expect(clock.pending).toBe(0);
    expect(await eventually(() => fixture.deps.budget.inFlight === 0)).toBe(true);
    hang.clear();
  },
);

test('a step that ignores its signal does not delay its job beyond the deadline', async () => {
  using fixture = await openHandlerFixture();
  const keyArn = await fixture.tenant('acme');
  const job = await fixture.forge({ tenant: 'acme', keyArn });
  const clock = new FakeClock();
  let isHanging = false;
  const put = (): Promise<never> => {
    isHanging = true;
    return new Promise(() => {});
  };
  const outcome = fixture.handle(job, { deps: { clock, store: { ...fixture.deps.store, put } } });
  await eventually(() => isHanging);
  clock.advance(JOB_MS - 1);
  expect(clock.pending).toBe(1);
  clock.advance(1);
  expect(await outcome).toEqual(DEADLINE);
});

test('a job without memory for its content is deferred after 60 s, and no failure is counted', async () => {
  using fixture = await openHandlerFixture();
  const keyArn = await fixture.tenant('acme');
  const job = await fixture.forge({ tenant: 'acme', keyArn, inlineBytes: 0 });
  const clock = new FakeClock();
  const budget = new ByteBudget(clock, 2000, 4);
  const giveBack = await budget.take(1000, AbortSignal.timeout(JOB_MS));
  const outcome = fixture.handle(job, { deps: { budget } });
  await eventually(() => clock.pending === 1);
  clock.advance(60_000);
  expect(await outcome).toEqual({
    kind: 'defer',
    code: 'MEMORY_BUDGET_FULL',
    afterMs: expect.any(Number) as number,
  });
  const { metrics } = fixture.deps;
  expect(await metrics.by('sealdex_jobs_total', 'outcome')).toEqual({ defer: 1 });
  expect(await metrics.by('sealdex_jobs_deferred_total', 'code')).toEqual({ MEMORY_BUDGET_FULL: 1 });
  expect(await metrics.by('sealdex_job_failures_total', 'code')).toEqual({});
  giveBack();
  expect(await fixture.handle(job, { deps: { budget } })).toEqual({ kind: 'done' });
});

test('a job handed back ends with the reason of the hand-back, at any step', async () => {
  using fixture = await openHandlerFixture();
  const keyArn = await fixture.tenant('acme');
  const job = await fixture.forge({ tenant: 'acme', keyArn });
  const hang = fixture.bucket.faults.set({ match: { prefix: 'documents/' }, fault: { kind: 'hang' } });
  const handBack = new AbortController();
  const outcome = fixture.handle(job, { handBack: handBack.signal });
  await eventually(() => hang.waiting === 1);
  handBack.abort(new Error('hand back'));
  await expect(outcome).rejects.toThrow('hand back');
  expect(fixture.log()).toBe('');
});

test('a job handed back before its start makes no call', async () => {
  using fixture = await openHandlerFixture();
  const keyArn = await fixture.tenant('acme');
  const job = await fixture.forge({ tenant: 'acme', keyArn, inlineBytes: 0 });
  const before = fixture.bucket.count();
  const handBack = AbortSignal.abort(new Error('hand back'));
  await expect(fixture.handle(job, { handBack })).rejects.toThrow('hand back');
  expect(fixture.bucket.count()).toBe(before);
});

test('a small document with a large record counts as a large one', async () => {
  using fixture = await openHandlerFixture();
  const keyArn = await fixture.tenant('acme');
  const forge = (documentId: string): ReturnType<typeof fixture.forge> => {
    const sections = [{ text: 'A b. '.repeat(25), metadata: { a: 'x'.repeat(20_000) } }];
    const body = JSON.stringify({ type: 'structured', id: documentId, sections });
    return fixture.forge({ tenant: 'acme', keyArn, header: { documentId }, body });
  };
  const jobs = await Promise.all(Array.from({ length: 6 }, (_, n) => forge(`document ${n}`)));
  // 20 kB each, records of half a megabyte: by their content all six could run at once, by their records three can.
  const budget = new ByteBudget(fixture.deps.clock, 6_400_000, 32);
  let most = 0;
  const put: typeof fixture.deps.store.put = (...request) => {
    most = Math.max(most, budget.inFlight);
    return fixture.deps.store.put(...request);
  };
  const outcomes = jobs.map((job) => fixture.handle(job, { deps: { budget, store: { ...fixture.deps.store, put } } }));
  expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 6 }, () => ({ kind: 'done' })));
  expect(most).toBeGreaterThan(1_000_000);
  expect(most).toBeLessThanOrEqual(3_200_000 + 6 * 100_000);
  expect(budget.inFlight).toBe(0);
});

test('large documents together never exceed the budget, and small ones overtake them', async () => {
  using fixture = await openHandlerFixture();
  const keyArn = await fixture.tenant('acme');
  const forge = (bytes: number): ReturnType<typeof fixture.forge> => {
    const documentId = `document of ${bytes} ${Math.random()}`;
    const body = JSON.stringify(documentOf(documentId, 'Some words, '.repeat(bytes / 12)));
    return fixture.forge({ tenant: 'acme', keyArn, header: { documentId }, body, inlineBytes: 0 });
  };
  const large = await Promise.all(Array.from({ length: 12 }, () => forge(250_000)));
  const small = await Promise.all(Array.from({ length: 12 }, () => forge(1200)));
  // Half of it is for large ones: three of them, since a running document takes several times its size.
  const budgetBytes = 8_000_000;
  const budget = new ByteBudget(fixture.deps.clock, budgetBytes, 32);
  const hang = fixture.bucket.faults.set({
    match: { operation: 'put', prefix: 'documents/' },
    fault: { kind: 'hang' },
  });
  const outcomes = [...large, ...small].map((job) => fixture.handle(job, { deps: { budget } }));
  const inWork = await eventually(() => (hang.waiting >= small.length + 3 ? hang.waiting : undefined));
  expect(inWork).toBe(small.length + 3);
  expect(budget.inFlight).toBeLessThanOrEqual(budgetBytes);
  let most = 0;
  const watched = outcomes.map((outcome) => outcome.finally(() => (most = Math.max(most, budget.inFlight))));
  hang.clear();
  expect(await Promise.all(watched)).toEqual(Array.from({ length: 24 }, () => ({ kind: 'done' })));
  expect(most).toBeLessThanOrEqual(budgetBytes);
  expect(budget.inFlight).toBe(0);
});
