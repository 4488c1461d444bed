// Which outcome a job gets for which fault of KMS, S3 and its own: over the real protocols, with the faults of the services.
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { KMS_ERRORS, S3_ERRORS } from '@sealdex/local-aws';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { documentOf } from '../journey/installation.ts';
import { openWorkRoom, type WorkRoom } from './fixture.ts';

const opened = new AsyncDisposableStack();
let room: WorkRoom;
let keyArn: string;
let tenant: string;
let count = 0;

beforeAll(async () => {
  room = opened.use(await openWorkRoom());
});

afterAll(() => opened.disposeAsync());

beforeEach(async () => {
  count += 1;
  tenant = `tenant-${count}`;
  keyArn = await room.house.tenant(tenant);
});

afterEach(() => {
  room.house.services.s3.faults.clear();
  room.house.services.kms.faults.clear();
});

const retry = (code: 'KMS_FAILED' | 'KMS_THROTTLED' | 'STORE_FAILED', spendsAttempt = false): Outcome => ({
  kind: 'retry',
  code,
  spendsAttempt,
});

type Fault = (services: WorkRoom['house']['services']) => unknown;

const DOCUMENTS = { method: 'PUT', prefix: 'documents/' };

/** Of the tenant and the key of the case, which is known when it runs. */
const GATE = 'gate';

const CASES: Record<string, [Fault, Outcome]> = {
  'nothing wrong': [() => {}, { kind: 'done' }],
  'a disabled KMS key': [({ kms }) => kms.disable(keyArn), { kind: 'park', code: 'KEY_DISABLED', gate: GATE }],
  'a KMS key that is to be deleted': [
    ({ kms }) => kms.scheduleDeletion(keyArn),
    { kind: 'park', code: 'KEY_PENDING_DELETION', gate: GATE },
  ],
  'a denied KMS key': [
    ({ kms }) => kms.faults.set({ fault: KMS_ERRORS.accessDenied }),
    { kind: 'park', code: 'KEY_DENIED', gate: GATE },
  ],
  'a KMS key that is gone': [({ kms }) => kms.forget(keyArn), { kind: 'park', code: 'KEY_NOT_FOUND', gate: GATE }],
  'a KMS that throttles': [({ kms }) => kms.faults.set({ fault: KMS_ERRORS.throttled }), retry('KMS_THROTTLED')],
  'a KMS that fails': [({ kms }) => kms.faults.set({ fault: KMS_ERRORS.internal }), retry('KMS_FAILED')],
  'expired credentials': [
    ({ kms }) => kms.faults.set({ fault: KMS_ERRORS.expiredCredentials }),
    { kind: 'pause', code: 'PLATFORM_CREDENTIALS' },
  ],
  'an S3 that slows down': [
    ({ s3 }) => s3.faults.set({ match: DOCUMENTS, fault: S3_ERRORS.slowDown }),
    retry('STORE_FAILED'),
  ],
  'an S3 that fails': [({ s3 }) => s3.faults.set({ fault: S3_ERRORS.internal }), retry('STORE_FAILED')],
  'a refused write while the bucket works': [
    ({ s3 }) => s3.faults.set({ match: DOCUMENTS, fault: S3_ERRORS.accessDenied }),
    retry('STORE_FAILED', true),
  ],
  'a bucket that refuses all writes': [
    ({ s3 }) => s3.faults.set({ match: { method: 'PUT' }, fault: S3_ERRORS.accessDenied }),
    { kind: 'pause', code: 'PLATFORM_STORE' },
  ],
  'a bucket that is gone': [
    ({ s3 }) => s3.faults.set({ match: { method: 'PUT' }, fault: S3_ERRORS.noSuchBucket }),
    { kind: 'pause', code: 'PLATFORM_STORE' },
  ],
  'a tenant file that cannot be read': [
    ({ s3 }) => s3.faults.set({ match: { prefix: 'tenants/' }, fault: S3_ERRORS.accessDenied }),
    { kind: 'pause', code: 'PLATFORM_TENANTS' },
  ],
  'a lost answer to its write': [
    ({ s3 }) => s3.faults.set({ match: DOCUMENTS, fault: { kind: 'lostResponse' }, times: 1 }),
    { kind: 'done' },
  ],
};

test.for(Object.entries(CASES))('a job that meets %s gets its outcome', async ([, [fault, outcome]]) => {
  const job = await room.forge.forge({ tenant, keyArn });
  fault(room.house.services);
  // Not the canary of the case before.
  const said = await room.handle(job, { deps: { canary: room.freshCanary() } });
  expect(said).toEqual(outcome.kind === 'park' ? { ...outcome, gate: gateId(keyRef(tenant, keyArn)) } : outcome);
});

test('a job of a tenant without a key of its own that meets a disabled platform key pauses the process', async () => {
  const { services, operator, settings } = room.house;
  const platformKey = String(settings.SEALDEX_PLATFORM_KEY_ARN);
  await operator.putTenant('free', { plan: 'free' });
  const job = await room.forge.forge({ tenant: 'free', keyArn: platformKey });
  services.kms.disable(platformKey);
  expect(await room.handle(job)).toEqual({ kind: 'pause', code: 'PLATFORM_KEY' });
  services.kms.enable(platformKey);
  expect(await room.handle(job)).toEqual({ kind: 'done' });
});

test('content in intake that S3 refuses to show counts as missing only when the attempts are spent', async () => {
  const job = await room.forge.forge({ tenant, keyArn, inlineBytes: 0 });
  room.house.services.s3.faults.set({ match: { method: 'GET', prefix: 'intake/' }, fault: S3_ERRORS.accessDenied });
  expect(await room.handle(job)).toEqual({ kind: 'retry', code: 'CONTENT_MISSING', spendsAttempt: true });
  room.house.services.s3.faults.clear();
  expect(await room.handle(job)).toEqual({ kind: 'done' });
});

test('a document of another job is a conflict for ifExists: reject, and not for its own job', async () => {
  const header = { ifExists: 'reject', documentId: 'one' } as const;
  const body = JSON.stringify(documentOf('one', 'Text.'));
  const first = await room.forge.forge({ tenant, keyArn, header, body });
  const second = await room.forge.forge({ tenant, keyArn, header, body });
  expect(await room.handle(first)).toEqual({ kind: 'done' });
  expect(await room.handle(second)).toEqual({ kind: 'dead', code: 'DOCUMENT_CONFLICT' });
  expect(await room.handle(first)).toEqual({ kind: 'done' });
});

test('an error that nobody foresaw spends an attempt, and its message goes nowhere', async () => {
  const job = await room.forge.forge({ tenant, keyArn });
  const put = (): never => {
    throw new TypeError('words of a document');
  };
  const outcome = await room.handle(job, { deps: { store: { ...room.deps.store, put } } });
  expect(outcome).toEqual({ kind: 'retry', code: 'INTERNAL', spendsAttempt: true });
  expect(room.log()).toContain('"cause":"TypeError"');
  expect(room.log()).toContain(`"tenant":"${tenant}"`);
  expect(room.log()).not.toContain('words of a document');
  expect(await room.deps.metrics.text()).not.toContain('words of a document');
});

test.for([
  [-3_600_001, 'dead'],
  [-3_500_000, 'retry'],
  [0, 'retry'],
  [3_700_000, 'dead'],
  [Number.NaN, 'dead'],
] as const)('a job of a newer producer that was queued %i ms from now is %s', async ([offset, kind]) => {
  const { id, data } = await room.forge.forge({ tenant, keyArn });
  const newer = { id, data: { ...data, v: 2 as 1 } };
  expect(await room.handle(newer, { queuedAt: Date.now() + offset })).toMatchObject({ kind, code: 'JOB_NEWER' });
});
