// Valid jobs, newer jobs, and job ids.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { newJobId, parseJob } from '../../src/jobs/jobs.ts';
import { isJobId } from '../../src/runtime/names.ts';

const good = {
  v: 1,
  kind: 'index',
  tenant: 'acme',
  corpus: 'books',
  revision: 1795461684317284,
  object: 'a1'.repeat(32),
  content: { inline: 'AAAA' },
} as const;

const { content: _, ...about } = good;
const upload = { ...about, kind: 'upload', content: { intake: '0123456789abcdef' } } as const;
const deletion = { ...about, kind: 'delete' } as const;

function faultOf(data: unknown): SealdexError {
  try {
    parseJob(data);
  } catch (error) {
    if (error instanceof SealdexError) return error;
    throw error;
  }
  throw new Error('The job was accepted.');
}

describe('a job', () => {
  it.each([
    ['inline', good],
    ['in intake', { ...good, content: { intake: '0123456789abcdef' } }],
    ['with names of all allowed characters', { ...good, tenant: 'aZ9_=-', corpus: 'x'.repeat(50) }],
    ['of the largest inline content', { ...good, content: { inline: 'A'.repeat(1_398_104) } }],
    ['of the first revision', { ...good, revision: 1 }],
    ['of the last revision', { ...good, revision: Number.MAX_SAFE_INTEGER }],
    ['to upload', upload],
    ['to delete', deletion],
    ['to delete, with an empty object in intake', { ...deletion, content: { intake: '0123456789abcdef' } }],
    ['to re-encrypt, from the first object on', { v: 1, kind: 'reencrypt', tenant: 'acme' }],
    ['to re-encrypt', { v: 1, kind: 'reencrypt', tenant: 'acme', after: 'documents/acme/' }],
  ])('%s is parsed to the same value', (_, data) => {
    expect(parseJob(JSON.parse(JSON.stringify(data)))).toEqual(data);
  });
});

describe('a job is JOB_NEWER', () => {
  it.each([
    ['of version 2', { ...good, v: 2 }],
    ['of version 2 with unknown fields', { v: 2, kind: 'index', shape: [] }],
    ['of version 2 with one more field', { ...good, v: 2, priority: 'high' }],
    ['of version 2 without a kind', { v: 2 }],
    ['of version 2 of each other kind', { ...upload, v: 2, content: { part: 1 } }],
    ['of any other kind', { ...good, kind: 'compact' }],
    ['of a kind that every object has', { ...good, kind: '__proto__' }],
  ])('%s', (_, data) => {
    const fault = faultOf(data);
    expect([fault.code, fault.field, fault.cause]).toEqual(['JOB_NEWER', undefined, undefined]);
  });
});

describe('a job is JOB_INVALID', () => {
  const LEAK = 'Zebra9Quux';

  it.each<[string, unknown, string | undefined]>([
    ['nothing', undefined, undefined],
    ['null', null, undefined],
    ['a text', LEAK, undefined],
    ['a number', 5, undefined],
    ['a list', [good], undefined],
    ['empty', {}, 'kind'],
    ['without a version', { ...good, v: undefined }, 'v'],
    ['of version 0', { ...good, v: 0 }, 'v'],
    ['of version 1.5', { ...good, v: 1.5 }, 'v'],
    ['of a version given as text', { ...good, v: '2' }, 'v'],
    ['without a kind', { ...good, kind: undefined }, 'kind'],
    ['of a kind given as an object', { ...good, kind: { LEAK } }, 'kind'],
    ['without a tenant', { ...good, tenant: undefined }, 'tenant'],
    ['of a tenant given as a path', { ...good, tenant: `../${LEAK}` }, 'tenant'],
    ['of a tenant with a line end', { ...good, tenant: `${LEAK}\n` }, 'tenant'],
    ['of a long corpus', { ...good, corpus: LEAK.repeat(6) }, 'corpus'],
    ['of an empty corpus', { ...good, corpus: '' }, 'corpus'],
    ['of revision 0', { ...good, revision: 0 }, 'revision'],
    ['of a broken revision', { ...good, revision: 1.5 }, 'revision'],
    ['of a revision without exact neighbors', { ...good, revision: 2 ** 53 }, 'revision'],
    ['of a revision given as text', { ...good, revision: '5' }, 'revision'],
    ['of an object without a hash', { ...good, object: LEAK }, 'object'],
    ['of an object in capitals', { ...good, object: 'A1'.repeat(32) }, 'object'],
    ['without content', { ...good, content: undefined }, 'content'],
    ['with content in two places', { ...good, content: { inline: 'AAAA', intake: '0123456789abcdef' } }, 'content'],
    ['with content in no place', { ...good, content: {} }, 'content'],
    ['with content other than base64', { ...good, content: { inline: `${LEAK}!` } }, 'content.inline'],
    ['with content at a path', { ...good, content: { intake: `../${LEAK}` } }, 'content.intake'],
    ['to upload with content in the queue', { ...upload, content: good.content }, 'content.intake'],
    ['to upload without content', { ...upload, content: undefined }, 'content'],
    ['to delete and has content in the queue', { ...deletion, content: good.content }, 'content.intake'],
    ['to delete and has no revision', { ...deletion, revision: undefined }, 'revision'],
    ['to delete and has no object', { ...deletion, object: undefined }, 'object'],
    ['to delete of version 0', { ...deletion, v: 0 }, 'v'],
    ['to re-encrypt one document', { ...deletion, kind: 'reencrypt' }, undefined],
    ['to re-encrypt after an invalid key', { v: 1, kind: 'reencrypt', tenant: 'acme', after: 5 }, 'after'],
    ['with an unknown field', { ...good, [LEAK]: 1 }, undefined],
    ['with an unknown field in its content', { ...good, content: { inline: 'AAAA', [LEAK]: 1 } }, 'content'],
  ])('if it is %s: the field is named, and nothing is quoted', (_, data, field) => {
    const fault = faultOf(data);
    expect([fault.code, fault.field]).toEqual(['JOB_INVALID', field]);
    expect(fault.cause).toBeUndefined();
    expect([fault.message, fault.field, fault.reason, JSON.stringify(fault)].join('\n')).not.toContain(LEAK);
  });

  it('if its content is huge', () => {
    expect(faultOf({ ...good, content: { inline: 'A'.repeat(50_000_000) } })).toMatchObject({
      code: 'JOB_INVALID',
      field: 'content.inline',
    });
  });

  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    'with a field %s, without a change of any object',
    (name) => {
      const inject = (text: string): unknown => JSON.parse(text.replace('{', `{"${name}":{"polluted":true},`));
      expect(faultOf(inject(JSON.stringify(good))).code).toBe('JOB_INVALID');
      const inner = JSON.stringify(good).replace('"inline"', `"${name}":{"polluted":true},"inline"`);
      expect(faultOf(JSON.parse(inner)).code).toBe('JOB_INVALID');
      expect('polluted' in {}).toBe(false);
    },
  );

  it('or JOB_NEWER, regardless of the data in the queue', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.record({ v: fc.jsonValue(), kind: fc.jsonValue() })), (data) => {
        expect(faultOf(data).code).toMatch(/^JOB_(INVALID|NEWER)$/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a job id', () => {
  const identity = { tenant: 'acme', corpus: 'books', kind: 'index', idempotencyKey: 'order 1' } as const;

  it('is j and 32 hex digits, random without an idempotency key', () => {
    const ids = new Set(Array.from({ length: 1000 }, () => newJobId()));
    expect(ids.size).toBe(1000);
    expect([...ids].every((id) => /^j[0-9a-f]{32}$/.test(id) && isJobId(id))).toBe(true);
  });

  it('is the start of sha256 of [tenant, corpus, kind, key], in every version', () => {
    expect(newJobId(identity)).toBe(newJobId({ ...identity }));
    expect(newJobId(identity)).toBe('j7cf15ff71d66b3a034bcdaa0ea1e9cfb');
    expect(isJobId(newJobId(identity))).toBe(true);
  });

  it('differs for another tenant, corpus, kind or key, and cannot be shifted between them', () => {
    const ids = [
      newJobId(identity),
      newJobId({ ...identity, tenant: 'acme2' }),
      newJobId({ ...identity, corpus: 'films' }),
      newJobId({ ...identity, kind: 'delete' }),
      newJobId({ ...identity, idempotencyKey: 'order 2' }),
      newJobId({ ...identity, tenant: 'ac', corpus: 'mebooks' }),
      newJobId({ ...identity, idempotencyKey: 'order 1","' }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([
    undefined,
    null,
    5,
    '',
    'j',
    `j${'a'.repeat(31)}`,
    `j${'A'.repeat(32)}`,
    `x${'a'.repeat(32)}`,
    `j${'a'.repeat(32)}\n`,
  ])('does not match %j', (text) => {
    expect(isJobId(text)).toBe(false);
  });
});
