import { describe, expect, it, test } from 'vitest';
import * as fc from 'fast-check';
import { parseDocument, parseDocumentJson } from '../../src/documents/shapes.ts';
import {
  anyCore,
  anyStructured,
  changed,
  core,
  LIMITS,
  type Loose,
  refusal,
  runs,
  structured,
  WIDE,
} from './samples.ts';

const parse = (document: unknown) => parseDocument(document, WIDE);

const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

describe('a value without a JSON form is rejected with its field:', () => {
  class Money {
    readonly amount = 1;
  }
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const sparse: unknown[] = [1];
  sparse[2] = 3;
  const values: [string, unknown][] = [
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['raw JSON other than an integer', rawJSON('1.5')],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a Date', new Date(0)],
    ['a Map', new Map()],
    ['a Buffer', Buffer.from('x')],
    ['a boxed string', Object('x')],
    ['an instance of a class', new Money()],
    ['an object with a symbol key', { [Symbol('x')]: 1 }],
    ['a cycle', cycle],
    ['a sparse array', sparse],
    ['a lone high surrogate', 'a\ud800'],
    ['a lone low surrogate', '\udc00a'],
    ['a key with a lone surrogate', { '\ud800': 1 }],
    ['a key __proto__', JSON.parse('{"__proto__": 1}')],
    ['a deep key __proto__', JSON.parse('{"a": [{"__proto__": {"x": 1}}]}')],
  ];
  test.each(values)('%s in metadata', (_, value) => {
    expect(refusal(() => parse({ ...core, metadata: { deep: [{ a: value }] } })).field).toBe('metadata');
    expect(refusal(() => parse({ ...core, document_parts: [{ text: 'x', metadata: { a: value } }] })).field).toBe(
      'document_parts[0].metadata',
    );
  });

  test.each(values)('%s as text and as dimension', (_, value) => {
    expect(refusal(() => parse({ ...structured, sections: [{ text: value }] })).field).toBe('sections[0].text');
    expect(refusal(() => parse({ ...structured, custom_dimensions: { a: value } })).field).toBe('custom_dimensions');
  });

  it('and inside metadata without a key, not even the name of another field', () => {
    expect(refusal(() => parse({ ...core, metadata: { title: { text: Number.NaN } } })).field).toBe('metadata');
    expect(refusal(() => parse({ ...structured, custom_dimensions: { title: Number.NaN } })).field).toBe(
      'custom_dimensions',
    );
  });

  test.each(['id', 'title', 'description'])('a lone surrogate in %s', (field) => {
    expect(refusal(() => parse({ ...structured, [field]: '\ud800' })).field).toBe(field);
  });

  test.each([
    ['', 'document'],
    ['sections', 'sections[0]'],
  ])('a key __proto__ outside metadata ("%s")', (where, field) => {
    const inner = '{"__proto__": {"text": "x"}, "text": "x"}';
    const text = where === '' ? inner : `{"type": "structured", "id": "a", "sections": [${inner}]}`;
    expect(refusal(() => parseDocumentJson(Buffer.from(text), WIDE)).field).toBe(field);
  });

  it('a number too large for a double', () => {
    const text = JSON.stringify({ ...core, metadata: { a: 'HUGE' } }).replace('"HUGE"', '1e400');
    expect(refusal(() => parseDocumentJson(Buffer.from(text), WIDE)).field).toBe('metadata');
  });
});

describe('size and depth do no harm:', () => {
  const wrap = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels);

  test.each([
    ['arrays', wrap('[', ']', 100_000), 'document'],
    ['arrays never closed', '['.repeat(100_000), 'document'],
    ['objects', wrap('{"a":', '}', 100_000).replace(':}', ':1}'), 'document'],
    [
      'sections',
      `{"sections":${wrap('[{"sections":', '}]', 100_000).replace(':}', ':1}')}}`,
      `${'sections[0].'.repeat(32)}sections`,
    ],
    ['metadata', `{"metadata":${wrap('{"a":', '}', 100_000).replace(':}', ':1}')}}`, 'metadata'],
    ['cells', `{"type":"core","tables":${wrap('[', ']', 100_000)}}`, `tables${'[0]'.repeat(79)}`],
  ])('100,000 levels of %s', (_, text, field) => {
    expect(refusal(() => parseDocumentJson(Buffer.from(text), WIDE)).field).toBe(field);
  });

  it('100,000 levels of objects from a caller', () => {
    let metadata: unknown = {};
    for (let level = 0; level < 100_000; level++) metadata = { a: metadata };
    expect(refusal(() => parse({ ...core, metadata })).field).toBe('metadata');
  });

  it('metadata of 2 MiB', () => {
    expect(refusal(() => parse({ ...core, metadata: { a: 'x'.repeat(2 * 1_048_576) } })).field).toBe('metadata');
    const many = Array.from({ length: 64 }, (_, n) => ({ text: 'x', metadata: { a: `${n}`.repeat(32_768) } }));
    expect(refusal(() => parse({ ...core, document_parts: many })).field).toMatch(/^document_parts\[\d+\]\.metadata$/);
  });

  it('a small object that becomes a large one by sharing', () => {
    let shared: unknown = ['x'];
    for (let level = 0; level < 30; level++) shared = [shared, shared];
    expect(refusal(() => parse({ ...core, metadata: { shared } })).field).toBe('metadata');
    expect(refusal(() => parse({ ...core, tables: shared })).code).toBe('DOCUMENT_INVALID');
  });

  it('millions of errors: the first one ends the search', () => {
    const rows = [Array.from({ length: 3_000_000 }, () => 1)];
    expect(refusal(() => parse({ ...core, tables: [{ data: { rows } }] })).field).toBe('tables[0].data.rows[0][0]');
    const text = `{"type":"core",${Array.from({ length: 500_000 }, (_, n) => `"k${n}":1`).join(',')}}`;
    expect(refusal(() => parseDocumentJson(Buffer.from(text), WIDE)).code).toBe('DOCUMENT_INVALID');
  });

  it('byte counts are those of the JSON text', () => {
    fc.assert(
      fc.property(fc.oneof(anyStructured, anyCore), (document) => {
        const documentBytes = Buffer.byteLength(JSON.stringify(document));
        expect(parseDocument(document, { ...WIDE, documentBytes })).toStrictEqual(document);
        expect(refusal(() => parseDocument(document, { ...WIDE, documentBytes: documentBytes - 1 })).field).toBe(
          'document',
        );
      }),
      runs(150),
    );
  });
});

describe('an error quotes no content', () => {
  const MARK = 'Zebra9Quux';

  /** Every text of the value contains the mark; so do the caller's keys. */
  function marked(value: unknown, isFree = false): unknown {
    if (typeof value === 'string') return `${MARK} ${value}`;
    if (Array.isArray(value)) return value.map((item) => marked(item, isFree));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => {
        const keeps = key === 'type' || key === 'data' || key === 'image_data';
        const isCallers = key === 'metadata' || key === 'custom_dimensions';
        return [
          isFree ? `${MARK} ${key}` : key,
          keeps && !isFree && typeof inner === 'string' ? inner : marked(inner, isFree || isCallers),
        ];
      }),
    );
  }

  const junk = fc.oneof(
    fc.constantFrom<unknown>(undefined, 1n, Number.NaN, '\ud800', `${MARK}\ud800`, new Date(0)),
    fc.constantFrom<unknown>(null, 5, true, MARK, [MARK], { [`${MARK} key`]: MARK }, [[MARK]], MARK.repeat(3_000)),
  );

  /** All places of a value, as functions that put a value there. */
  function* places(value: Loose): Generator<(junk: unknown) => void> {
    for (const key of Object.keys(value)) {
      yield (junk) => (value[key] = junk as Loose);
      if (typeof value[key] === 'object' && value[key] !== null) yield* places(value[key]);
    }
    if (!Array.isArray(value)) yield (junk) => (value[`${MARK} unknown`] = junk as Loose);
  }

  const seen = (error: Error & { field?: string; reason?: string }): string =>
    [error.message, error.field, error.reason, error.stack, JSON.stringify(error), String(error.cause)].join('\n');

  const errorOf = (run: () => unknown): Error | undefined => {
    try {
      run();
      return undefined;
    } catch (error) {
      return error as Error;
    }
  };

  it('for an invalid value anywhere in a document full of marks', () => {
    let refused = 0;
    fc.assert(
      fc.property(fc.oneof(anyStructured, anyCore), junk, fc.nat(), (document, junk, n) => {
        const broken = changed(marked(document), (copy) => {
          const all = [...places(copy)];
          all[n % all.length]?.(junk);
        });
        const error = errorOf(() => parseDocument(broken, LIMITS));
        if (error) refused += 1;
        expect(error ? seen(error) : '').not.toContain(MARK);
      }),
      runs(1500),
    );
    expect(refused).toBeGreaterThan(500);
  });

  it('for broken JSON text anywhere', () => {
    const text = JSON.stringify(marked(structured));
    fc.assert(
      fc.property(fc.nat({ max: text.length - 2 }), fc.constantFrom('', '"', '}', MARK, '\\u12'), (at, put) => {
        const bytes = Buffer.from(text.slice(0, at) + put);
        expect(seen(refusal(() => parseDocumentJson(bytes, WIDE)))).not.toContain(MARK);
      }),
      runs(500),
    );
  });
});
