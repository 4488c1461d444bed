// A page re-encrypts several objects in parallel: all are counted, one error ends it, and it can stop between two.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { S3_ERRORS } from '@sealdex/local-aws';
import { BackgroundGate } from '../../src/handlers/background-gate.ts';
import { AdaptiveConcurrency } from '../../src/handlers/adaptive-concurrency.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClock } from '../support/clock.ts';
import { openReencryptionFixture, type ReencryptionFixture } from './fixture.ts';

const opened = new AsyncDisposableStack();
let fixture: ReencryptionFixture;
let tenant: string;
let current: string;
let count = 0;

beforeAll(async () => {
  fixture = opened.use(await openReencryptionFixture());
});
afterAll(() => opened.disposeAsync());
beforeEach(async () => {
  tenant = `tenant-${(count += 1)}`;
  ({ current } = await fixture.changed(tenant, 12));
  await fixture.healthy.restartStalled(tenant);
});

/** A limit grown to its maximum. */
function wide(): AdaptiveConcurrency {
  const concurrency = new AdaptiveConcurrency(() => 0);
  for (let at = 0; at < 1000; at += 1) concurrency.onFinish();
  return concurrency;
}

async function runFirst(deps: object) {
  const [jobId] = await fixture.waiting(tenant);
  const job = await fixture.runner.installation.queue.getJob(jobId!);
  return fixture.runner.handle({ id: jobId!, data: job?.data }, { deps: { reencryption: fixture.healthy, ...deps } });
}

const isPut = { method: 'PUT', prefix: 'documents/' };

test('several objects are processed in parallel, and each is counted', async () => {
  const { faults, requests } = fixture.runner.installation.services.s3;
  requests.reset();
  const hanging = faults.set({ match: isPut, fault: { kind: 'hang' } });
  const run = runFirst({ reencryptionConcurrency: wide() });
  await eventually(() => requests.count(isPut) === 12).finally(() => hanging.clear());
  expect(await run).toEqual({ kind: 'done' });
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ counts: { moved: 12, current: 0, changed: 0 } });
  expect(await fixture.under(tenant)).toEqual({ [current]: 12 });
});

test('two objects are processed in parallel while the event loop is not idle', async () => {
  const { faults, requests } = fixture.runner.installation.services.s3;
  requests.reset();
  const hanging = faults.set({ match: isPut, fault: { kind: 'hang' }, times: 2 });
  const run = runFirst({ reencryptionConcurrency: new AdaptiveConcurrency(() => 0.5) });
  await eventually(() => requests.count(isPut) === 2);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(requests.count(isPut)).toBe(2);
  hanging.clear();
  expect(await run).toEqual({ kind: 'done' });
});

test('a page fails if one object does, counts nothing, and is repeated', async () => {
  const failing = fixture.runner.installation.services.s3.faults.set({ match: isPut, fault: S3_ERRORS.internal });
  expect(await runFirst({ reencryptionConcurrency: wide() })).toMatchObject({
    kind: 'retry',
    code: 'STORE_FAILED',
    spendsAttempt: false,
  });
  failing.clear();
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ counts: { moved: 0 } });
  expect(await runFirst({ reencryptionConcurrency: wide() })).toEqual({ kind: 'done' });
  expect(await fixture.under(tenant)).toEqual({ [current]: 12 });
});

test('a page starts nothing for 50 ms at a time during foreground jobs', async () => {
  const clock = new FakeClock(Date.now());
  const backgroundGate = new BackgroundGate(clock);
  const leave = backgroundGate.enterForeground();
  const { requests } = fixture.runner.installation.services.s3;
  requests.reset();
  const run = runFirst({ backgroundGate });
  await eventually(() => clock.pending === 1);
  expect(requests.count({ method: 'GET', kind: 'object', prefix: 'documents/' })).toBe(0);
  clock.advance(50);
  await eventually(() => requests.count(isPut) === 1 && clock.pending === 1);
  expect(requests.count({ method: 'GET', kind: 'object', prefix: 'documents/' })).toBe(1);
  leave();
  expect(await run).toEqual({ kind: 'done' });
});

test('a page is not delayed by foreground jobs while the event loop is idle', async () => {
  const clock = new FakeClock(Date.now());
  const backgroundGate = new BackgroundGate(clock);
  backgroundGate.enterForeground();
  expect(await runFirst({ backgroundGate, reencryptionConcurrency: wide() })).toEqual({ kind: 'done' });
  expect(await fixture.under(tenant)).toEqual({ [current]: 12 });
});

test('a second page in the same worker waits', async () => {
  const backgroundGate = new BackgroundGate(new FakeClock());
  const leave = backgroundGate.enterBackground();
  expect(await runFirst({ backgroundGate })).toMatchObject({ kind: 'defer', code: 'REENCRYPTION_NOT_DUE' });
  leave!();
  expect(await runFirst({ backgroundGate })).toEqual({ kind: 'done' });
});
