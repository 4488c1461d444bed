// Unknown fields of requests, filters and options.
import { expect, test } from 'vitest';
import { fieldsOf, knownFields } from '../../src/runtime/known-fields.ts';
import { SealdexError } from '../../src/runtime/errors.ts';

const NAMES = ['tenant', 'corpus', 'id', 'minRevision'] as const;

function errorOf(call: () => unknown): SealdexError {
  try {
    call();
  } catch (error) {
    if (error instanceof SealdexError) return error;
  }
  throw new Error('The call did not fail with a SealdexError.');
}

test.each([
  ['minRevison', 'minRevision'],
  ['minrevision', 'minRevision'],
  ['tennant', 'tenant'],
])('the misspelled field %s is rejected with the closest name', (key, closest) => {
  const error = errorOf(() => fieldsOf({ tenant: 'acme', [key]: 1 }, NAMES));
  expect(error).toMatchObject({
    code: 'DOCUMENT_INVALID',
    field: key,
    message: `${key} is not a known request field; remove it (did you mean ${closest}?).`,
  });
});

test.each(['x', 'filename', 'ix'])('the field %s is rejected without a name, since none is close', (key) => {
  expect(errorOf(() => fieldsOf({ [key]: 1 }, NAMES)).message).toBe(`${key} is not a known request field; remove it.`);
});

test('a key that may be content is not named', () => {
  const error = errorOf(() => fieldsOf({ 'what the document says': 1 }, NAMES));
  expect(error).toMatchObject({ code: 'DOCUMENT_INVALID', field: 'request' });
  expect(error.message).not.toContain('says');
});

test('known fields are returned, absent ones as undefined', () => {
  expect(fieldsOf({ tenant: 'acme' }, NAMES)).toEqual({ tenant: 'acme' });
  const filter = { tenant: 'acme' };
  expect(knownFields(filter, { tenant: true })).toBe(filter);
});
