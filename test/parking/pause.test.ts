// The pause of a process: confirmed before it begins, logged once at each end, and ended automatically.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPause, isPausing, PAUSING, type Pause, type PausingCode } from '../../src/parking/pause.ts';
import { CODES, isCode } from '../../src/runtime/errors.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';

let clock: FakeClock;
let pause: Pause;
let broken: Set<PausingCode>;
/** Requested confirmations and reported events, in order. */
let proofs: PausingCode[];
let events: string[];
/** Confirmations wait for this. */
let held: Promise<void>;

beforeEach(() => {
  clock = new FakeClock();
  broken = new Set();
  held = Promise.resolve();
  [proofs, events] = [[], []];
  const record =
    (level: string) =>
    (facts: object): void =>
      void events.push(`${level} ${(facts as { code: string }).code}`);
  pause = createPause({
    clock,
    log: { debug: record('debug'), info: record('info'), warn: record('warn'), error: record('error') },
    async works(code) {
      proofs.push(code);
      await held;
      return !broken.has(code);
    },
    onPause: (code) => void events.push(`pause ${code}`),
    onResume: () => void events.push('resume'),
  });
});

afterEach(() => pause.stop());

/** Resolves after all immediate work. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('every code that pauses a job pauses the process, as does a long outage', () => {
  const ofJobs = Object.entries(CODES).flatMap(([code, { disposition }]) => (disposition === 'pause' ? [code] : []));
  expect([...PAUSING].toSorted()).toEqual([...ofJobs, 'KMS_FAILED', 'STORE_FAILED'].toSorted());
  expect(['KEY_DENIED', 'REDIS_FAILED', 'INTERNAL'].filter((code) => isCode(code) && isPausing(code))).toEqual([]);
});

test('an unconfirmed platform fault pauses nothing', async () => {
  pause.onPlatformSuspected('PLATFORM_STORE');
  await settled();
  expect([pause.code, proofs, events]).toEqual([undefined, ['PLATFORM_STORE'], []]);
});

test('a platform fault is confirmed once for all jobs, logged once, and pauses once', async () => {
  broken.add('PLATFORM_STORE');
  for (let job = 0; job < 30; job += 1) pause.onPlatformSuspected('PLATFORM_STORE');
  await settled();
  for (let job = 0; job < 30; job += 1) pause.onPlatformSuspected('PLATFORM_STORE');
  await settled();
  expect([pause.code, proofs]).toEqual(['PLATFORM_STORE', ['PLATFORM_STORE']]);
  expect(events).toEqual(['error PLATFORM_STORE', 'pause PLATFORM_STORE']);
});

test('a dismissed suspicion can come again', async () => {
  pause.onPlatformSuspected('PLATFORM_KEY');
  await settled();
  broken.add('PLATFORM_KEY');
  pause.onPlatformSuspected('PLATFORM_KEY');
  await settled();
  expect(pause.code).toBe('PLATFORM_KEY');
});

test('the pause ends within 5 s of the fix, with one log line', async () => {
  broken.add('PLATFORM_KEY');
  pause.onPlatformSuspected('PLATFORM_KEY');
  await settled();
  for (let round = 0; round < 5; round += 1) {
    clock.advance(5000);
    await settled();
  }
  expect([pause.code, proofs.length]).toEqual(['PLATFORM_KEY', 6]);
  broken.clear();
  clock.advance(5000);
  await eventually(() => pause.code === undefined);
  clock.advance(50_000);
  await settled();
  expect(events).toEqual(['error PLATFORM_KEY', 'pause PLATFORM_KEY', 'info PLATFORM_KEY', 'resume']);
});

test('a failure of an active job during the pause changes nothing', async () => {
  broken.add('PLATFORM_KEY').add('PLATFORM_STORE');
  pause.onPlatformSuspected('PLATFORM_KEY');
  await settled();
  pause.onPlatformSuspected('PLATFORM_STORE');
  await settled();
  expect([pause.code, proofs]).toEqual(['PLATFORM_KEY', ['PLATFORM_KEY']]);
});

test('a running process makes no checks', async () => {
  clock.advance(60_000);
  await pause.tick();
  expect(proofs).toEqual([]);
});

test('a confirmation after the stop pauses nothing, and a recovery after the stop resumes nothing', async () => {
  const go = Promise.withResolvers<void>();
  broken.add('PLATFORM_KEY');
  held = go.promise;
  pause.onPlatformSuspected('PLATFORM_KEY');
  await Promise.all([pause.stop(), pause.stop()]);
  go.resolve();
  await settled();
  pause.onPlatformSuspected('PLATFORM_KEY');
  await settled();
  expect([pause.code, proofs.length, events, clock.pending]).toEqual([undefined, 1, [], 0]);
});

test('a pause stopped during its check stays as it is', async () => {
  broken.add('PLATFORM_KEY');
  pause.onPlatformSuspected('PLATFORM_KEY');
  await settled();
  const go = Promise.withResolvers<void>();
  held = go.promise;
  broken.clear();
  const running = pause.tick();
  await pause.stop();
  go.resolve();
  await running;
  expect([pause.code, events.includes('resume')]).toEqual(['PLATFORM_KEY', false]);
});
