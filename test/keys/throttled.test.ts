// A throttled client, through the real SDK: one tenant's throttling spaces the calls of all, and costs no job an attempt.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { KMS_ERRORS } from '@sealdex/local-aws';
import type { SealdexError } from '../../src/runtime/errors.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { createMetrics, type Metrics } from '../../src/runtime/metrics.ts';
import { outcomeOf } from '../../src/handlers/outcome.ts';
import type { KeyRef } from '../../src/runtime/key-ref.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { contextOf } from './fixture.ts';
import { openAdapterFixture, type AdapterFixture } from './adapter-fixture.ts';

let fixture: AdapterFixture;

beforeAll(async () => {
  fixture = await openAdapterFixture();
});

afterEach(() => {
  fixture.kms.faults.clear();
  fixture.kms.counts.reset();
});

afterAll(() => {
  opened.dispose();
  return fixture[Symbol.asyncDispose]();
});

interface Client {
  readonly clock: FakeClock;
  readonly metrics: Metrics;
  readonly generate: (ref: KeyRef) => Promise<unknown>;
}

const opened = new DisposableStack();

const kmsOf = (metrics: Metrics, use: 'patient' | 'prompt', clock: FakeClock): Kms =>
  opened.adopt(createKms(fixture.config, metrics, noAudit, use, clock), (kms) => kms.close());

/**
 * A client slowed by one throttled response to another tenant. Its clock does not advance: only the test releases a call.
 */
async function throttledClient(use: 'patient' | 'prompt'): Promise<Client> {
  using _real = realDeadlines();
  const clock = new FakeClock();
  const metrics = createMetrics();
  const kms = kmsOf(metrics, use, clock);
  const ref = fixture.tenant();
  const fault = fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_ERRORS.throttled });
  await expect(kms.generateDataKey(ref, contextOf(ref.tenant))).rejects.toMatchObject({
    code: 'KMS_THROTTLED',
    reason: 'ThrottlingException',
  });
  // The SDK's second attempt was not released either.
  expect(fault.met).toBe(1);
  return { clock, metrics, generate: (ref) => kms.generateDataKey(ref, contextOf(ref.tenant)) };
}

const faultOf = (call: Promise<unknown>): Promise<SealdexError> =>
  call.then(
    () => Promise.reject(new Error('The call did not fail.')),
    (error: SealdexError) => error,
  );

test('a throttled call of one tenant spaces the calls of other tenants by an interval', async () => {
  const { clock, generate } = await throttledClient('patient');
  const ref = fixture.tenant();
  const sent = (): number => fixture.kms.counts.count({ key: ref.keyArn });
  const calls = Array.from({ length: 3 }, () => generate(ref));
  await eventually(() => clock.pending === 1);
  clock.advance(49);
  expect(sent()).toBe(0);
  for (const [i, intervalMs] of [1, 40, 32].entries()) {
    clock.advance(intervalMs);
    // Other calls without a wait would have arrived before that response.
    await calls[i];
    expect(sent()).toBe(i + 1);
  }
  expect(clock.pending).toBe(0);
});

test('calls still queued at their deadline end as throttled, without being sent or counted, even behind others of their tenant', async () => {
  using _real = realDeadlines();
  const { clock, metrics, generate } = await throttledClient('prompt');
  const counted = await metrics.by('sealdex_kms_calls_total', 'result');
  const ref = fixture.tenant();
  const faults = await Promise.all(Array.from({ length: 20 }, () => faultOf(generate(ref))));
  expect(new Set(faults.map(({ code, reason }) => `${code} ${reason}`))).toEqual(
    new Set(['KMS_THROTTLED RateLimited']),
  );
  expect(fixture.kms.counts.count({ key: ref.keyArn })).toBe(0);
  expect(await metrics.by('sealdex_kms_calls_total', 'result')).toEqual(counted);
  await eventually(() => clock.pending === 0);
});

test('a job comes back without an attempt spent or parking if its call was throttled or rate limited', async () => {
  using _real = realDeadlines();
  const { generate } = await throttledClient('prompt');
  const ref = fixture.tenant();
  const rateLimited = await faultOf(generate(ref));
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_ERRORS.throttled });
  const throttled = await faultOf(
    (await fixture.open({ use: 'prompt' })).kms.generateDataKey(ref, contextOf(ref.tenant)),
  );
  expect([rateLimited.reason, throttled.reason]).toEqual(['RateLimited', 'ThrottlingException']);
  const canary = (): never => expect.unreachable('No canary is asked about KMS.');
  for (const fault of [rateLimited, throttled]) {
    const job = { tenant: 'acme', ageMs: 0, parkedMaxMs: 0 };
    expect(await outcomeOf(fault, job, canary, new AbortController().signal)).toEqual({
      kind: 'retry',
      code: 'KMS_THROTTLED',
      spendsAttempt: false,
    });
  }
});
