// Outcomes of errors: the reason of an unreadable file, and the errors that defer a job.
import { expect, test } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { unreadable, unsupported } from '../../src/extract/reasons.ts';
import { outcomeOf } from '../../src/handlers/outcome.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';

const DAY_MS = 86_400_000;

const become = (error: unknown): Promise<Outcome> =>
  outcomeOf(error, { tenant: 'acme', ageMs: 0, parkedMaxMs: DAY_MS }, async () => true, new AbortController().signal);

test('an unreadable file is dead at once, and its outcome has the reason', async () => {
  expect(await become(unreadable('pdf-encrypted'))).toEqual({
    kind: 'dead',
    code: 'FILE_UNREADABLE',
    reason: 'pdf-encrypted',
  });
  expect(await become(unsupported('video/mp4'))).toEqual({
    kind: 'dead',
    code: 'FILE_UNSUPPORTED',
    reason: 'video/mp4',
  });
});

test('the reason of any other error is only logged', async () => {
  const fault = new SealdexError('CONTENT_TAMPERED', undefined, { reason: 'other-job' });
  expect(await become(fault)).toEqual({ kind: 'dead', code: 'CONTENT_TAMPERED' });
});

test.each([
  ['TENANT_SLOTS_FULL', 1000, 5000],
  ['MEMORY_BUDGET_FULL', 5000, 30_000],
  ['REENCRYPTION_NOT_DUE', 1000, 5000],
  ['STALLED', 1000, 5000],
] as const)('an error with %s defers the job by %i to %i ms', async (code, min, max) => {
  const outcome = await become(new SealdexError(code));
  expect(outcome).toEqual({ kind: 'defer', code, afterMs: expect.any(Number) as number });
  const { afterMs = 0 } = outcome as { afterMs?: number };
  expect(afterMs).toBeGreaterThanOrEqual(min);
  expect(afterMs).toBeLessThanOrEqual(max);
});
