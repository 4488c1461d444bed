// The effect of each outcome on a job in the queue: its place, its delay, its attempts, its status.
import { expect, test } from 'vitest';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import type { Code } from '../../src/runtime/errors.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { eventually } from '../support/eventually.ts';
import { openFixture, type Fixture } from './fixture.ts';

interface Expected {
  readonly state: 'gone' | 'delayed' | 'failed';
  readonly attempts?: number;
  /** Milliseconds from now, lowest and highest. */
  readonly delay?: readonly [number, number];
  readonly status: { state: string; code?: Code };
}

const retrying = (code: Code): { state: string; code: Code } => ({ state: 'retrying', code });
const back = (outcome: Outcome & { code: Code }, attempts: number, ...delay: [number, number]): [Outcome, Expected] => [
  outcome,
  { state: 'delayed', attempts, delay, status: retrying(outcome.code) },
];

const HOUR = 3_600_000;

/** An hour ahead of BullMQ's, so that no job returns during the check. */
const ahead: Clock = { ...systemClock, now: () => systemClock.now() + HOUR };
const SHUT = 'acme:0';

const CASES: Record<string, [Outcome, Expected]> = {
  'done leaves the queue': [{ kind: 'done' }, { state: 'gone', status: { state: 'done' } }],
  'superseded leaves the queue': [
    { kind: 'done', superseded: true },
    { state: 'gone', status: { state: 'superseded' } },
  ],
  'park comes back in hours without a release, and spends no attempt': [
    { kind: 'park', code: 'KEY_DISABLED', gate: SHUT },
    { state: 'delayed', attempts: 0, delay: [3 * HOUR, 5 * HOUR], status: { state: 'parked', code: 'KEY_DISABLED' } },
  ],
  'pause comes back within 5 s and spends no attempt': back({ kind: 'pause', code: 'PLATFORM_KEY' }, 0, 4500, 5000),
  'a throttled job comes back within 5 s and spends no attempt': back(
    { kind: 'retry', code: 'KMS_THROTTLED', spendsAttempt: false },
    0,
    1,
    5000,
  ),
  'a retry with a delay comes back after that delay': back(
    { kind: 'retry', code: 'JOB_NEWER', spendsAttempt: false, afterMs: 30_000 },
    0,
    30_000,
    30_000,
  ),
  'defer comes back after its delay and spends no attempt': back(
    { kind: 'defer', code: 'TENANT_SLOTS_FULL', afterMs: 4000 },
    0,
    4000,
    4000,
  ),
  'dead goes to the failed set at once': [
    { kind: 'dead', code: 'CONTENT_TAMPERED' },
    { state: 'failed', attempts: 1, status: { state: 'dead', code: 'CONTENT_TAMPERED' } },
  ],
};

test.for(Object.entries(CASES))('%s', async ([, [outcome, expected]]) => {
  await using fixture = await openFixture();
  // With a marker, like a job with an idempotency key.
  const id = await fixture.add();
  await fixture.redis.hset(fixture.keys.marker(id), 'revision', '1');
  const begun = Date.now();
  const parking = { isOpen: () => false, refresh: async () => {} };
  const worker = await fixture.worker(async () => outcome, { parking, clock: ahead });
  const { delay, ...place } = await eventually(() => placeOf(fixture, id));
  // A parked job has its status note only after the move.
  await eventually(() => worker.active() === 0);
  const { state, attempts = 0, status } = expected;
  const reason = state === 'failed' ? `${status.code} ${id}` : undefined;
  expect(place).toEqual({ state, attempts, reason, stack: '' });
  const [low, high] = expected.delay?.map((ms) => ms + HOUR) ?? [0, 0];
  // BullMQ reads the clock again.
  expect(delay).toBeGreaterThanOrEqual(Math.max(0, low! - 100));
  expect(delay).toBeLessThanOrEqual(high!);
  const { since, ...rest } = await fixture.queue.status(id);
  expect(rest).toEqual(status);
  expect(since).toBeGreaterThanOrEqual(begun);
  expect(await fixture.redis.hmget(fixture.keys.marker(id), 'state', 'code')).toEqual(
    state === 'delayed' ? [null, null] : [status.state, status.code ?? ''],
  );
});

interface Place {
  readonly state: string;
  readonly attempts: number;
  readonly reason: string | undefined;
  readonly stack: string;
  readonly delay: number;
}

/** The place of the job after its outcome, as soon as it is there. */
async function placeOf(fixture: Fixture, id: string): Promise<Place | undefined> {
  const job = await fixture.bull.getJob(id);
  if (!job) return { state: 'gone', attempts: 0, reason: undefined, stack: '', delay: 0 };
  if (job.delay === 0 && job.finishedOn === undefined) return undefined;
  const state = await job.getState();
  const stack = (job.stacktrace ?? []).join('');
  return { state, attempts: job.attemptsMade, reason: job.failedReason, stack, delay: job.delay };
}

test.for([
  ['INTERNAL', 5],
  ['DEADLINE', 8],
  ['STORE_FAILED', 8],
] as const)('%s can end a job %i times, then the job is a dead letter with that code', async ([code, attempts]) => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  let runs = 0;
  await fixture.worker(async () => {
    runs += 1;
    return { kind: 'retry', code, spendsAttempt: true };
  });
  // Full jitter: the maximum doubles, the delay is anything below it, so that a very short one may not be seen.
  const seen = new Map<number, number>();
  await eventually(async () => {
    const job = await fixture.bull.getJob(id);
    if (job?.finishedOn !== undefined) return true;
    if (!job || job.delay === 0) return false;
    seen.set(job.attemptsMade, job.delay);
    await job.promote().catch(() => {});
    return false;
  });
  expect(seen.size).toBeGreaterThan(0);
  for (const [attempt, delay] of seen) expect(delay).toBeLessThanOrEqual(5000 * 2 ** (attempt - 1));
  const job = await fixture.bull.getJob(id);
  expect(runs).toBe(attempts);
  expect(job?.failedReason).toBe(`${code} ${id}`);
  expect(job?.attemptsMade).toBe(attempts);
  expect(await fixture.queue.status(id)).toMatchObject({ state: 'dead', code });
});

test('parking and retries without an attempt never use up the attempts of a job', async () => {
  await using fixture = await openFixture();
  const id = await fixture.add();
  let runs = 0;
  await fixture.worker(async () => {
    runs += 1;
    if (runs > 20) return { kind: 'done' };
    return runs % 2 === 0
      ? { kind: 'park', code: 'KEY_DISABLED', gate: SHUT }
      : { kind: 'retry', code: 'STORE_FAILED', spendsAttempt: false };
  });
  const spent = new Set<number>();
  await eventually(async () => {
    const job = await fixture.bull.getJob(id);
    if (!job) return true;
    spent.add(job.attemptsMade);
    if (job.delay > 0) await job.promote().catch(() => {});
    return false;
  });
  expect({ runs, spent: [...spent] }).toEqual({ runs: 21, spent: [0] });
  expect(await fixture.queue.status(id)).toMatchObject({ state: 'done' });
});
