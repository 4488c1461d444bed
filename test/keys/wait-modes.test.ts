// A worker's calls to KMS: they have their own deadline, and a temporary error is retried once.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_ERRORS } from '@sealdex/local-aws';
import type { SealdexError } from '../../src/runtime/errors.ts';
import type { OneRing } from './fixture.ts';
import { openAdapterFixture, type AdapterFixture } from './adapter-fixture.ts';
import { realDeadlines } from '../support/deadlines.ts';

let fixture: AdapterFixture;
let patient: OneRing;

beforeAll(async () => {
  fixture = await openAdapterFixture();
  patient = await fixture.open({ use: 'patient' });
});
afterEach(() => fixture.kms.faults.clear());
afterAll(() => fixture[Symbol.asyncDispose]());

/** A server error by its status too, which the SDK checks before a retry. */
const FAILS = { ...KMS_ERRORS.internal, status: 500 };

// Without a deadline the call hangs as long as KMS does; the test's own limit is far below the file's.
test('a hanging KMS ends with KMS_FAILED for a worker too', async () => {
  using _real = realDeadlines();
  const ref = fixture.tenant();
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' } });
  const error: unknown = await patient.ring.current(ref, 'documents', 1).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'KMS_FAILED', reason: 'TimeoutError' } satisfies Partial<SealdexError>);
});

test('a failed KMS call is repeated once', async () => {
  const ref = fixture.tenant();
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: FAILS, times: 1 });
  await patient.ring.current(ref, 'documents', 1);
  expect(fixture.kms.counts.count({ key: ref.keyArn, operation: 'GenerateDataKey' })).toBe(2);

  const other = fixture.tenant();
  fixture.kms.faults.set({ match: { key: other.keyArn }, fault: FAILS });
  const failed = patient.ring.current(other, 'documents', 1);
  await expect(failed).rejects.toMatchObject({ code: 'KMS_FAILED' });
  expect(fixture.kms.counts.count({ key: other.keyArn, operation: 'GenerateDataKey' })).toBe(2);
});
