// Documents for tests, limits, and fast-check's arbitrary documents.
import * as fc from 'fast-check';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { DocumentLimits } from '../../src/documents/shapes.ts';

export const LIMITS: DocumentLimits = { partChars: 1000, metadataBytes: 4096, documentBytes: 65_536 };
export const WIDE: DocumentLimits = { partChars: 16_384, metadataBytes: 1_048_576, documentBytes: 33_554_432 };

export const table = {
  id: 'table-1',
  title: 'Prices',
  description: 'What things cost',
  data: {
    headers: [[{ text_value: 'Thing', colspan: 2 }, { text_value: 'Price' }]],
    rows: [[{ text_value: 'Pen' }, { int_value: -3 }, { float_value: 1.5 }], [{ bool_value: false, rowspan: 1 }]],
  },
};

export const image = {
  id: 'image-1',
  title: 'A chart',
  caption: 'Growth',
  description: 'Bars',
  image_data: { data: 'aGVsbG8=', mime_type: 'image/png' },
};

export const structured = {
  type: 'structured',
  id: 'doc-1',
  title: 'A report',
  description: 'What happened',
  metadata: { lang: 'en', year: 2026, nested: { list: [1, null, 'x'] } },
  custom_dimensions: { weight: 0.5 },
  chunking_strategy: { type: 'max_chars_chunking_strategy', max_chars_per_chunk: 100 },
  sections: [
    {
      id: 10,
      title: 'Summary',
      text: 'It went well. Nobody was hurt.',
      metadata: { owner: 'ops' },
      tables: [table],
      images: [image],
      sections: [{ title: 'Details', text: 'There are many.' }],
    },
    { tables: [structuredClone(table)] },
  ],
};

export const core = {
  type: 'core',
  id: 'doc-2',
  metadata: { kind: 'note' },
  tables: [table],
  images: [image],
  document_parts: [
    { text: 'One.', metadata: { n: 1 }, context: 'Before.', custom_dimensions: { boost: 2 } },
    { text: 'Two.', table_id: 'table-1', image_id: 'nowhere' },
  ],
};

/** Parameters of a property: the same cases in every run. */
export const runs = (numRuns: number) => ({ numRuns, seed: 20_260_727 });

/** The error thrown by `run`; the test fails for none or another one. */
export function refusal(run: () => unknown): SealdexError {
  try {
    run();
  } catch (error) {
    if (error instanceof SealdexError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** A copy of `value` with `change` applied; its content is untyped on purpose. */
export function changed<T>(value: T, change: (copy: Loose) => void): unknown {
  const copy: unknown = structuredClone(value);
  change(copy as Loose);
  return copy;
}

/** Any value, accessed without type checks: tests change documents with it. */
export interface Loose {
  [key: string | number]: Loose;
}

/** `levels` of sections, each the only one in its parent. */
export function nestedSections(levels: number): unknown {
  let sections: unknown[] = [{ text: 'bottom' }];
  for (let level = 1; level < levels; level++) sections = [{ sections }];
  return { type: 'structured', id: 'deep', sections };
}

/** A metadata object of `levels` levels, including itself. */
export function nestedMetadata(levels: number): Record<string, unknown> {
  let metadata: Record<string, unknown> = {};
  for (let level = 1; level < levels; level++) metadata = level % 2 === 0 ? { a: metadata } : { a: [], b: metadata };
  return metadata;
}

const unicode = (maxLength: number) => fc.string({ unit: 'binary', maxLength });
export const prose = fc
  .array(
    fc.oneof(fc.constantFrom('Hi.', 'e.g.', 'Well?', '\n', ' ', '漢字。', '😀', 'é́', 'a'.repeat(150)), unicode(12)),
    {
      maxLength: 30,
    },
  )
  .map((words) => words.join(' '));

const metadata = fc.dictionary(
  unicode(6).filter((key) => key !== '__proto__'),
  fc.oneof(unicode(8), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.integer(), { maxLength: 2 })),
  { maxKeys: 3, noNullPrototype: true },
);
const dimensions = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer(), { noNullPrototype: true });
const optional = { requiredKeys: [], noNullPrototype: true };
const cell = fc.oneof(
  fc.record({ text_value: unicode(5) }, { noNullPrototype: true }),
  fc.record({ int_value: fc.maxSafeInteger(), colspan: fc.integer({ min: 1, max: 9 }) }, { noNullPrototype: true }),
  fc.record({ bool_value: fc.boolean() }, { noNullPrototype: true }),
);
const rows = fc.array(fc.array(cell, { maxLength: 2 }), { maxLength: 2 });
const anyTable = fc.record(
  { id: unicode(5), title: unicode(5), data: fc.record({ headers: rows, rows }, optional) },
  optional,
);
const anyImage = fc.record(
  {
    id: unicode(5),
    caption: unicode(5),
    image_data: fc.record(
      {
        data: fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('base64')),
        mime_type: fc.constant('image/png'),
      },
      { noNullPrototype: true },
    ),
  },
  { requiredKeys: ['image_data'], noNullPrototype: true },
);

const { section } = fc.letrec<{ section: Record<string, unknown> }>((tie) => ({
  section: fc.record(
    {
      text: prose.map((text) => `${text}x`),
      id: fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
      title: unicode(200),
      metadata,
      tables: fc.array(anyTable, { maxLength: 2 }),
      images: fc.array(anyImage, { maxLength: 1 }),
      sections: fc.array(tie('section'), { maxLength: 2, depthIdentifier: 'section' }),
    },
    { requiredKeys: ['text'], noNullPrototype: true },
  ),
}));

const id = unicode(20).filter((text) => text !== '');

export const anyStructured = fc.record(
  {
    type: fc.constant('structured'),
    id,
    sections: fc.array(section, { minLength: 1, maxLength: 3 }),
    title: unicode(20),
    description: unicode(20),
    metadata,
    custom_dimensions: dimensions,
    chunking_strategy: fc.constantFrom(
      { type: 'sentence_chunking_strategy' },
      { type: 'max_chars_chunking_strategy', max_chars_per_chunk: 100 },
    ),
  },
  { requiredKeys: ['type', 'id', 'sections'], noNullPrototype: true },
);

export const anyCore = fc.record(
  {
    type: fc.constant('core'),
    id,
    document_parts: fc.array(
      fc.record(
        {
          text: unicode(40).map((text) => `${text}x`),
          metadata,
          context: unicode(5),
          table_id: unicode(5),
          custom_dimensions: dimensions,
        },
        { requiredKeys: ['text'], noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 5 },
    ),
    metadata,
    tables: fc.array(anyTable, { maxLength: 2 }),
    images: fc.array(anyImage, { maxLength: 2 }),
  },
  { requiredKeys: ['type', 'id', 'document_parts'], noNullPrototype: true },
);
