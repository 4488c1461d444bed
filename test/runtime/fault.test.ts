// The part of an error that may be logged: codes, names and request ids, never the message of a foreign error.
import { describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { faultOf } from '../../src/runtime/fault.ts';

const SECRET = 'Zebra9Quux';

describe('the logged part of an error', () => {
  it('is code, reason and field of a SealdexError', () => {
    expect(
      faultOf(new SealdexError('DOCUMENT_INVALID', `quotes ${SECRET}`, { field: 'title', reason: 'long' })),
    ).toEqual({
      code: 'DOCUMENT_INVALID',
      field: 'title',
      reason: 'long',
    });
  });

  it('names the party to act when AWS denies access', () => {
    expect(faultOf(new SealdexError('KEY_DENIED', undefined, { deniedBy: 'operator' }))).toEqual({
      code: 'KEY_DENIED',
      deniedBy: 'operator',
    });
  });

  it('is name, code and request id of an error from KMS, S3, Redis or Node', () => {
    const cause = Object.assign(new Error(`about ${SECRET}`), { name: 'DisabledException' });
    const details = { reason: 'DisabledException', cause, requestId: 'r-1' };
    expect(faultOf(new SealdexError('KEY_DISABLED', undefined, details))).toEqual({
      code: 'KEY_DISABLED',
      reason: 'DisabledException',
      cause: 'DisabledException',
      requestId: 'r-1',
    });
    const network = Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' });
    expect(faultOf(network)).toEqual({ code: 'INTERNAL', cause: 'Error ECONNREFUSED' });
  });

  it.each<[string, unknown]>([
    ['an error', new Error(SECRET)],
    ['an error of JSON', jsonError()],
    ['an error with a sentence as its code', Object.assign(new Error(SECRET), { code: `${SECRET} again` })],
    ['an error with causes', new Error(SECRET, { cause: new Error(SECRET) })],
    ['several errors', new AggregateError([new Error(SECRET)], SECRET)],
    ['a text', SECRET],
    ['an object', { message: SECRET, [SECRET]: 1 }],
    ['nothing', undefined],
    ['null', null],
  ])('is never the message of %s', (_, thrown) => {
    const fault = faultOf(thrown);
    expect(fault.code).toBe('INTERNAL');
    expect(JSON.stringify(fault)).not.toContain(SECRET);
  });

  it('is never the message of an error in the cause of a SealdexError', () => {
    const fault = faultOf(new SealdexError('STORE_FAILED', undefined, { cause: new Error(SECRET, { cause: SECRET }) }));
    expect(fault).toEqual({ code: 'STORE_FAILED', cause: 'Error' });
  });
});

function jsonError(): unknown {
  try {
    return JSON.parse(`{"title": ${SECRET}}`);
  } catch (error) {
    return error;
  }
}
