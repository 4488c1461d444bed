// What an outcome says of a file that was not read, and that it says nothing of the kind of any other fault.
import { expect, test } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { unreadable, unsupported } from '../../src/extract/reasons.ts';
import { outcomeOf } from '../../src/handlers/outcome.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';

const become = (error: unknown): Promise<Outcome> =>
  outcomeOf(error, { tenant: 'acme', ageMs: 0 }, async () => true, new AbortController().signal);

test('A file that cannot be read is dead at once, and its outcome says why.', async () => {
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

test('The reason of any other fault stays in the log.', async () => {
  const fault = new SealdexError('CONTENT_TAMPERED', undefined, { reason: 'other-job' });
  expect(await become(fault)).toEqual({ kind: 'dead', code: 'CONTENT_TAMPERED' });
});
