// Waiting for jobs: progress, the time limit, outages and Ctrl-C.
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { JobStatus } from '../../src/queue/bull/job-lookup.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { stallMessage } from '../../src/cli/job-outcomes.ts';
import { deadlines } from '../../src/runtime/deadlines.ts';
import { createWaiting, STALL_NOTICE_MS, type Waiting } from '../../src/cli/waiting.ts';
import { FakeClock } from '../support/clock.ts';
import { pass } from './pass-time.ts';

interface Sent {
  readonly line: number;
  readonly jobId: string;
}

const jobsOf = (count: number): Sent[] => Array.from({ length: count }, (_, at) => ({ line: at + 1, jobId: `j${at}` }));

function waitingFor(status: (jobId: string) => Promise<JobStatus>) {
  const clock = new FakeClock();
  const controller = new AbortController();
  const events: string[] = [];
  let requests = 0;
  const waiting = createWaiting<Sent>({
    clock,
    signal: controller.signal,
    status: (jobId) => {
      requests += 1;
      return status(jobId);
    },
    onEnd: ({ line }, state, { code }) => events.push(`${line} ${state} ${code ?? '-'}`),
    onProgress: (ended, total) => events.push(`${ended}/${total}`),
    onStall({ error, code }) {
      events.push(`still ${error?.code ?? code ?? '-'}`);
    },
  });
  return { waiting, clock, controller, events, requests: () => requests };
}

test('the wait ends when all jobs have finished or are parked, and counts the outcomes', async () => {
  const ends: Record<string, JobStatus> = {
    j0: { state: 'done' },
    j1: { state: 'superseded' },
    j2: { state: 'dead', code: 'CONTENT_MISSING' },
    j3: { state: 'parked', code: 'KEY_DISABLED', since: 1 },
  };
  const { waiting, clock, events } = waitingFor(async (jobId) => ends[jobId] ?? { state: 'unknown' });
  waiting.add(jobsOf(4));
  expect((await pass(clock, waiting.until(0))).value).toBe(true);
  expect(waiting.outcomeCounts).toEqual({ done: 1, superseded: 1, dead: 1, parked: 1 });
  expect(waiting.left).toBe(0);
  expect(events).toEqual(['1 done -', '2 superseded -', '3 dead CONTENT_MISSING', '4 parked KEY_DISABLED', '4/4']);
});

test.each(['queued', 'active', 'retrying', 'unknown'] as const)(
  'a %s job is waited for two minutes, and reported once after ten seconds',
  async (state) => {
    const { waiting, clock, events } = waitingFor(async (jobId) => ({ state: jobId === 'j0' ? 'done' : state }));
    waiting.add(jobsOf(2));
    const { value, ms } = await pass(clock, waiting.until(0));
    expect(value).toBe(false);
    expect(waiting.left).toBe(1);
    expect(ms).toBeGreaterThanOrEqual(deadlines.waitIdleMs);
    expect(ms).toBeLessThan(deadlines.waitIdleMs + 1000);
    expect(events.filter((line) => line.startsWith('still'))).toEqual(['still -']);
    expect(events.indexOf('still -')).toBeGreaterThan(STALL_NOTICE_MS / 200 / 2);
    expect(clock.pending).toBe(0);
  },
);

test('the stall notice has the code of a retrying job', async () => {
  const { waiting, clock, events } = waitingFor(async (jobId) =>
    jobId === 'j0' ? { state: 'queued' } : { state: 'retrying', code: 'TENANT_SLOTS_FULL', since: 1 },
  );
  waiting.add(jobsOf(2));
  await pass(clock, waiting.until(0));
  expect(events.filter((line) => line.startsWith('still'))).toEqual(['still TENANT_SLOTS_FULL']);
});

test('the stall message explains the code and the remedy, and without a code suggests to check for a worker', () => {
  expect(stallMessage({ code: 'STALLED' })).toBe(
    'No job has finished for 10s. Jobs are retrying because the worker that was processing the job crashed or froze (STALLED). No action needed, sealdex retries; if it persists, check the worker logs for crashes.',
  );
  expect(stallMessage({})).toContain('Check that a worker is running');
  expect(stallMessage({ error: new SealdexError('REDIS_FAILED') })).toContain('(REDIS_FAILED). Check');
});

test('the wait continues as long as jobs finish within the limit', async () => {
  const clockOf: { clock?: FakeClock } = {};
  const scene = waitingFor(async (jobId) => ({
    state:
      (clockOf.clock?.monotonic() ?? 0) > (Number(jobId.slice(1)) + 1) * (deadlines.waitIdleMs - 5000)
        ? 'done'
        : 'queued',
  }));
  clockOf.clock = scene.clock;
  scene.waiting.add(jobsOf(3));
  const { value, ms } = await pass(scene.clock, scene.waiting.until(0));
  expect(value).toBe(true);
  expect(ms).toBeGreaterThan(2 * deadlines.waitIdleMs);
});

test('an outage of Redis is reported once and waited for', async () => {
  const isBack = (clock: FakeClock): boolean => clock.monotonic() > 31_000;
  const scene: { clock?: FakeClock } = {};
  const { waiting, clock, events } = waitingFor(async () => {
    if (scene.clock && isBack(scene.clock)) return { state: 'done' };
    throw new SealdexError('REDIS_FAILED');
  });
  scene.clock = clock;
  waiting.add(jobsOf(2));
  expect((await pass(clock, waiting.until(0))).value).toBe(true);
  expect(events.filter((line) => line.startsWith('still'))).toEqual(['still REDIS_FAILED']);
  expect(waiting.outcomeCounts.done).toBe(2);
});

test('a long outage ends the wait after two minutes', async () => {
  const { waiting, clock } = waitingFor(async () => {
    throw new SealdexError('REDIS_FAILED');
  });
  waiting.add(jobsOf(300));
  expect((await pass(clock, waiting.until(0))).value).toBe(false);
  expect(waiting.left).toBe(300);
});

test('a permanent error ends the wait', async () => {
  const { waiting, clock } = waitingFor(async () => {
    throw new SealdexError('PLATFORM_CREDENTIALS');
  });
  waiting.add(jobsOf(1));
  await expect(pass(clock, waiting.until(0))).rejects.toMatchObject({ code: 'PLATFORM_CREDENTIALS' });
});

test('stuck jobs do not hide finished ones, and each poll reads at most 200 jobs', async () => {
  const { waiting, clock, events } = waitingFor(async (jobId) => ({
    state: Number(jobId.slice(1)) < 400 ? 'queued' : 'done',
  }));
  waiting.add(jobsOf(600));
  expect((await pass(clock, waiting.until(0))).value).toBe(false);
  expect(waiting.outcomeCounts.done).toBe(200);
  const steps = events.flatMap((line) => (/^\d+\/600$/.test(line) ? [Number(line.split('/')[0])] : []));
  for (const [at, step] of steps.entries()) expect(step - (steps[at - 1] ?? 0)).toBeLessThanOrEqual(200);
});

test('the wait can end when a given number of jobs is left', async () => {
  const { waiting, clock } = waitingFor(async () => ({ state: 'done' }));
  waiting.add(jobsOf(500));
  expect((await pass(clock, waiting.until(300))).value).toBe(true);
  expect(waiting.left).toBe(300);
  waiting.add(jobsOf(10));
  await pass(clock, waiting.until(0));
  expect(waiting.outcomeCounts.done).toBe(510);
});

test('the wait sends no request if there are no jobs', async () => {
  const { waiting, requests } = waitingFor(async () => ({ state: 'queued' }));
  expect(await waiting.until(0)).toBe(true);
  expect(requests()).toBe(0);
});

test('the abort signal ends the wait at once, and no timer remains', async () => {
  const { waiting, clock, controller } = waitingFor(async () => ({ state: 'queued' }));
  waiting.add(jobsOf(1));
  const over: Promise<unknown> = ended(waiting);
  await setImmediate();
  controller.abort(new Error('enough'));
  expect(await over).toMatchObject({ message: 'enough' });
  expect(clock.pending).toBe(0);
  expect(await ended(waiting)).toMatchObject({ message: 'enough' });
});

const ended = (waiting: Waiting<Sent>): Promise<unknown> => waiting.until(0).catch((error: unknown) => error);
