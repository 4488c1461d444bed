// Outcomes of jobs by what fails: KMS, the store, or the job itself.
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { documentOf } from '../support/documents.ts';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { STORE_FAULTS } from '../support/memory-store.ts';
import { openHandlerFixture, type HandlerFixture } from './fixture.ts';

const tenant = 'acme';
const DAY_MS = 86_400_000;
let fixture: HandlerFixture;
let keyArn: string;

beforeEach(async () => {
  fixture = await openHandlerFixture();
  keyArn = await fixture.tenant(tenant);
});

afterEach(() => fixture[Symbol.dispose]());

const retry = (code: 'KMS_FAILED' | 'KMS_THROTTLED' | 'STORE_FAILED', spendsAttempt = false): Outcome => ({
  kind: 'retry',
  code,
  spendsAttempt,
});

type Fault = (services: Pick<HandlerFixture, 'bucket' | 'kms'>) => unknown;

const DOCUMENTS = { operation: 'put', prefix: 'documents/' } as const;

/** Of the tenant and the key of the case, which is known when it runs. */
const GATE = 'gate';

const CASES: Record<string, [Fault, Outcome]> = {
  'nothing wrong': [() => {}, { kind: 'done' }],
  'a disabled KMS key': [({ kms }) => kms.disable(keyArn), { kind: 'park', code: 'KEY_DISABLED', gate: GATE }],
  'a KMS key pending deletion': [
    ({ kms }) => kms.scheduleDeletion(keyArn),
    { kind: 'park', code: 'KEY_PENDING_DELETION', gate: GATE },
  ],
  'a denied KMS key': [
    ({ kms }) => kms.faults.set({ fault: KMS_FAULTS.accessDenied }),
    { kind: 'park', code: 'KEY_DENIED', gate: GATE },
  ],
  'a deleted KMS key': [({ kms }) => kms.forget(keyArn), { kind: 'park', code: 'KEY_NOT_FOUND', gate: GATE }],
  'a KMS that throttles': [({ kms }) => kms.faults.set({ fault: KMS_FAULTS.throttled }), retry('KMS_THROTTLED')],
  'a KMS that fails': [({ kms }) => kms.faults.set({ fault: KMS_FAULTS.internal }), retry('KMS_FAILED')],
  'expired credentials': [
    ({ kms }) => kms.faults.set({ fault: KMS_FAULTS.expiredCredentials }),
    { kind: 'pause', code: 'PLATFORM_CREDENTIALS' },
  ],
  'a store that slows down': [
    ({ bucket }) => bucket.faults.set({ match: DOCUMENTS, fault: STORE_FAULTS.slowDown }),
    retry('STORE_FAILED'),
  ],
  'a store that fails': [({ bucket }) => bucket.faults.set({ fault: STORE_FAULTS.internal }), retry('STORE_FAILED')],
  'a denied write while the bucket works': [
    ({ bucket }) => bucket.faults.set({ match: DOCUMENTS, fault: STORE_FAULTS.accessDenied }),
    retry('STORE_FAILED', true),
  ],
  'a bucket without write access': [
    ({ bucket }) => bucket.faults.set({ match: { operation: 'put' }, fault: STORE_FAULTS.accessDenied }),
    { kind: 'pause', code: 'PLATFORM_STORE' },
  ],
  'a deleted bucket': [
    ({ bucket }) => bucket.faults.set({ match: { operation: 'put' }, fault: STORE_FAULTS.noSuchBucket }),
    { kind: 'pause', code: 'PLATFORM_STORE' },
  ],
  'a tenant file that cannot be read': [
    ({ bucket }) => bucket.faults.set({ match: { prefix: 'tenants/' }, fault: STORE_FAULTS.accessDenied }),
    { kind: 'pause', code: 'PLATFORM_TENANTS' },
  ],
  'a conflict with another write': [
    ({ bucket }) => bucket.faults.set({ match: DOCUMENTS, fault: { kind: 'conflict' }, times: 1 }),
    { kind: 'done' },
  ],
};

test.for(Object.entries(CASES))('a job that fails with %s gets its outcome', async ([, [fault, outcome]]) => {
  const job = await fixture.forge({ tenant, keyArn });
  fault(fixture);
  expect(await fixture.handle(job)).toEqual(
    outcome.kind === 'park' ? { ...outcome, gate: gateId(keyRef(tenant, keyArn)) } : outcome,
  );
});

test('a disabled platform key pauses the process for a job of a tenant without its own key', async () => {
  const { kms, deps } = fixture;
  const platformKey = kms.platformKeyArn;
  await deps.tenants.put('free', { plan: 'free' });
  const job = await fixture.forge({ tenant: 'free', keyArn: platformKey });
  kms.disable(platformKey);
  expect(await fixture.handle(job)).toEqual({ kind: 'pause', code: 'PLATFORM_KEY' });
  kms.enable(platformKey);
  expect(await fixture.handle(job)).toEqual({ kind: 'done' });
});

test('a job is done on its second run if its document was stored without a response', async () => {
  const job = await fixture.forge({ tenant, keyArn });
  fixture.bucket.faults.set({ match: DOCUMENTS, fault: { kind: 'lostResponse' }, times: 1 });
  expect(await fixture.handle(job)).toEqual(retry('STORE_FAILED'));
  expect(await fixture.handle(job)).toEqual({ kind: 'done' });
});

test('a denied read of content in intake counts as missing only after the last attempt', async () => {
  const job = await fixture.forge({ tenant, keyArn, inlineBytes: 0 });
  fixture.bucket.faults.set({ match: { operation: 'get', prefix: 'intake/' }, fault: STORE_FAULTS.accessDenied });
  expect(await fixture.handle(job)).toEqual({ kind: 'retry', code: 'CONTENT_MISSING', spendsAttempt: true });
  fixture.bucket.faults.clear();
  expect(await fixture.handle(job)).toEqual({ kind: 'done' });
});

test("another job's document is a conflict for ifExists: reject, and the job's own is not", async () => {
  const header = { ifExists: 'reject', documentId: 'one' } as const;
  const body = JSON.stringify(documentOf('one', 'Text.'));
  const first = await fixture.forge({ tenant, keyArn, header, body });
  const second = await fixture.forge({ tenant, keyArn, header, body });
  expect(await fixture.handle(first)).toEqual({ kind: 'done' });
  expect(await fixture.handle(second)).toEqual({ kind: 'dead', code: 'DOCUMENT_CONFLICT' });
  expect(await fixture.handle(first)).toEqual({ kind: 'done' });
});

test('an unexpected error spends an attempt, and its message is not stored or logged', async () => {
  const job = await fixture.forge({ tenant, keyArn });
  const put = (): never => {
    throw new TypeError('words of a document');
  };
  const outcome = await fixture.handle(job, { deps: { store: { ...fixture.deps.store, put } } });
  expect(outcome).toEqual({ kind: 'retry', code: 'INTERNAL', spendsAttempt: true });
  expect(fixture.log()).toContain('"cause":"TypeError"');
  expect(fixture.log()).toContain(`"tenant":"${tenant}"`);
  expect(fixture.log()).not.toContain('words of a document');
  expect(await fixture.deps.metrics.text()).not.toContain('words of a document');
});

test.for([
  [-30 * DAY_MS - 1000, 'dead'],
  [-30 * DAY_MS + 60_000, 'retry'],
  [-3_600_001, 'retry'],
  [0, 'retry'],
  [3_500_000, 'retry'],
  [3_700_000, 'dead'],
  [Number.NaN, 'dead'],
] as const)('a job of a newer producer queued %i ms from now is %s', async ([offset, kind]) => {
  const { id, data } = await fixture.forge({ tenant, keyArn });
  const newer = { id, data: { ...data, v: 2 as 1 } };
  expect(await fixture.handle(newer, { queuedAt: Date.now() + offset })).toMatchObject({ kind, code: 'JOB_NEWER' });
});

test.for([
  [0, 30_000],
  [600_000, 60_000],
  [DAY_MS, 600_000],
] as const)('a job of a newer producer queued %i ms ago comes back after %i ms', async ([age, afterMs]) => {
  const { id, data } = await fixture.forge({ tenant, keyArn });
  const queuedAt = Date.now() - age;
  const outcome = await fixture.handle({ id, data: { ...data, v: 2 as 1 } }, { queuedAt });
  expect(outcome).toMatchObject({ kind: 'retry', spendsAttempt: false });
  expect((outcome as { afterMs: number }).afterMs / afterMs).toBeCloseTo(1, 1);
});

test('content with a header of a newer version waits, and is not tampered with', async () => {
  const job = await fixture.forge({ tenant, keyArn, header: { v: 2 as 1, more: 1 } as object });
  expect(await fixture.handle(job)).toMatchObject({ kind: 'retry', code: 'JOB_NEWER', spendsAttempt: false });
});
