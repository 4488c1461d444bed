import { describe, expect, it, test } from 'vitest';
import { checkDocumentId, parseDocument, parseDocumentJson } from '../../src/documents/shapes.ts';
import { changed, core, LIMITS, type Loose, nestedMetadata, nestedSections, refusal, structured } from './samples.ts';

const parse = (document: unknown) => parseDocument(document, LIMITS);

describe('a document with every field of the API', () => {
  test.each([
    ['structured', structured],
    ['core', core],
  ])('is unchanged if it is %s', (_, document) => {
    expect(parse(document)).toStrictEqual(document);
    expect(parseDocumentJson(Buffer.from(JSON.stringify(document)), LIMITS)).toStrictEqual(document);
  });

  it('is copied, so that a later change has no effect', () => {
    const document = structuredClone(structured);
    const parsed = parse(document);
    document.metadata.year = 1;
    expect(parsed.metadata).toHaveProperty('year', 2026);
  });
});

describe('accepted', () => {
  const good: [string, unknown][] = [
    ['the least structured document', { type: 'structured', id: 'a', sections: [{ text: 'x' }] }],
    ['the least core document', { type: 'core', id: 'a', document_parts: [{ text: 'x' }] }],
    ['a section with sections and no text', { type: 'structured', id: 'a', sections: [{ sections: [{ text: 'x' }] }] }],
    ['a section with tables and no text', { type: 'structured', id: 'a', sections: [{ tables: [{ id: 't' }] }] }],
    ['empty text under a title', { type: 'structured', id: 'a', sections: [{ title: 'T', text: '' }] }],
    [
      'empty lists inside a section',
      { type: 'structured', id: 'a', sections: [{ text: 'x', sections: [], tables: [] }] },
    ],
    ['a blank part that belongs to a table', { type: 'core', id: 'a', document_parts: [{ text: '', table_id: 't' }] }],
    ['32 levels of sections', nestedSections(32)],
    ['32 levels of metadata', { ...core, metadata: nestedMetadata(32) }],
    ['any Unicode as id', { ...core, id: '\u0000\n漢😀 /../' }],
    ['an id of 1,024 characters outside the BMP', { ...core, id: '😀'.repeat(1024) }],
    [
      'the smallest and largest section ids',
      { ...structured, sections: [-2_147_483_648, 2_147_483_647].map((id) => ({ id, text: 'x' })) },
    ],
    [
      'a text of exactly the limit',
      { type: 'core', id: 'a', document_parts: [{ text: 'x'.repeat(LIMITS.partChars) }] },
    ],
    [
      'the smallest chunks',
      { ...structured, chunking_strategy: { type: 'max_chars_chunking_strategy', max_chars_per_chunk: 100 } },
    ],
    [
      'the largest chunks',
      {
        ...structured,
        chunking_strategy: { type: 'max_chars_chunking_strategy', max_chars_per_chunk: LIMITS.partChars },
      },
    ],
    ['metadata keys with names of Object', { ...core, metadata: { constructor: 1, prototype: 2, toString: 3, '': 4 } }],
  ];
  test.each(good)('%s', (_, document) => {
    expect(parse(document)).toStrictEqual(document);
  });

  it('objects without prototype, as plain ones', () => {
    const bare = Object.assign(Object.create(null) as object, {
      type: 'core',
      id: 'a',
      document_parts: [{ text: 'x' }],
    });
    expect(parse(bare)).toStrictEqual({ type: 'core', id: 'a', document_parts: [{ text: 'x' }] });
  });

  it('null as an absent optional field everywhere, and as a value in metadata', () => {
    const section = {
      id: null,
      title: null,
      text: null,
      metadata: null,
      images: null,
      sections: null,
      tables: [{ id: null, data: { headers: null, rows: [[{ text_value: 'x', int_value: null, colspan: null }]] } }],
    };
    const nulls = {
      type: 'structured',
      id: 'a',
      title: null,
      description: null,
      metadata: { kept: null },
      custom_dimensions: null,
      chunking_strategy: null,
      sections: [section],
    };
    expect(parse(nulls)).toStrictEqual({
      type: 'structured',
      id: 'a',
      metadata: { kept: null },
      sections: [{ tables: [{ data: { rows: [[{ text_value: 'x' }]] } }] }],
    });
  });
});

describe('rejected, with the field', () => {
  const sections = (section: unknown): unknown => ({ type: 'structured', id: 'a', sections: [section] });
  const part = (part: unknown): unknown => ({ type: 'core', id: 'a', document_parts: [part] });
  const cell = (cell: unknown): unknown =>
    sections({ text: 'x', tables: [{ data: { rows: [[], [{ int_value: 1 }, cell]] } }] });
  const AT = 'sections[0].tables[0].data.rows[1][1]';
  const picture = (image_data: unknown): unknown => ({ ...core, images: [{ image_data }] });
  const max = (max_chars_per_chunk: unknown): unknown => ({
    ...structured,
    chunking_strategy: { type: 'max_chars_chunking_strategy', max_chars_per_chunk },
  });
  const bad: [string, unknown, string][] = [
    ['no object', 'text', 'document'],
    ['null', null, 'document'],
    ['an array', [structured], 'document'],
    ['no type', { id: 'a' }, 'type'],
    ['another type', { ...structured, type: 'file' }, 'type'],
    ['no id', { type: 'core', document_parts: [{ text: 'x' }] }, 'id'],
    ['a number as id', { ...core, id: 7 }, 'id'],
    ['an empty id', { ...core, id: '' }, 'id'],
    ['an id of 1,025 characters', { ...core, id: 'a'.repeat(1025) }, 'id'],
    ['no sections', { type: 'structured', id: 'a' }, 'sections'],
    ['empty sections', { type: 'structured', id: 'a', sections: [] }, 'sections'],
    ['null sections', { type: 'structured', id: 'a', sections: null }, 'sections'],
    ['sections given as an object', { type: 'structured', id: 'a', sections: { 0: {} } }, 'sections'],
    ['empty document_parts', { type: 'core', id: 'a', document_parts: [] }, 'document_parts'],
    ['an empty section', sections({}), 'sections[0].text'],
    ['a section of a title alone', sections({ title: 'x' }), 'sections[0].text'],
    ['a blank section', sections({ text: ' \n' }), 'sections[0].text'],
    ['a section given as text', sections('x'), 'sections[0]'],
    ['a section given as null', sections(null), 'sections[0]'],
    ['a number as text', sections({ text: 1 }), 'sections[0].text'],
    ['a number as title', sections({ text: 'x', title: 1 }), 'sections[0].title'],
    ['a section id given as text', sections({ id: '1', text: 'x' }), 'sections[0].id'],
    ['a section id with a fraction', sections({ id: 1.5, text: 'x' }), 'sections[0].id'],
    ['a section id over int32', sections({ id: 2_147_483_648, text: 'x' }), 'sections[0].id'],
    [
      'a fault in an inner section',
      sections({ text: 'x', sections: [{ text: 'x' }, { text: 1 }] }),
      'sections[0].sections[1].text',
    ],
    ['metadata given as an array', sections({ text: 'x', metadata: [] }), 'sections[0].metadata'],
    ['tables given as an object', sections({ text: 'x', tables: {} }), 'sections[0].tables'],
    ['a title given as an object', { ...structured, title: {} }, 'title'],
    ['a dimension given as text', { ...structured, custom_dimensions: { weight: '1' } }, 'custom_dimensions'],
    ['dimensions given as an array', { ...structured, custom_dimensions: [1] }, 'custom_dimensions'],
    ['33 levels of sections', nestedSections(33), `${'sections[0].'.repeat(32)}sections`],
    ['50 levels of sections', nestedSections(50), `${'sections[0].'.repeat(32)}sections`],
    ['33 levels of metadata', { ...core, metadata: nestedMetadata(33) }, 'metadata'],
    ['50 levels of metadata', sections({ text: 'x', metadata: nestedMetadata(50) }), 'sections[0].metadata'],
    ['metadata past its limit', { ...core, metadata: { a: 'x'.repeat(4096) } }, 'metadata'],
    [
      'metadata past its limit together',
      { type: 'core', id: 'a', document_parts: [0, 1, 2].map(() => ({ text: 'x', metadata: { a: 'é'.repeat(800) } })) },
      'document_parts[2].metadata',
    ],
    ['a document past its limit', sections({ text: 'x'.repeat(65_536) }), 'document'],
    ['a document past its limit by escapes', sections({ text: '\u0001'.repeat(11_000) }), 'document'],
    ['no text in a part', part({}), 'document_parts[0].text'],
    ['a blank part', part({ text: ' ' }), 'document_parts[0].text'],
    ['a part past its limit', part({ text: 'x'.repeat(1001) }), 'document_parts[0].text'],
    ['a context given as a number', part({ text: 'x', context: 1 }), 'document_parts[0].context'],
    ['a table_id given as a number', part({ text: 'x', table_id: 1 }), 'document_parts[0].table_id'],
    ['a cell without value', cell({}), AT],
    ['a cell of two values', cell({ text_value: 'x', bool_value: true }), AT],
    ['a cell given as text', cell('x'), AT],
    ['a text as int_value', cell({ int_value: '1' }), `${AT}.int_value`],
    ['a fraction as int_value', cell({ int_value: 0.5 }), `${AT}.int_value`],
    ['an int_value that would be rounded', cell({ int_value: 2 ** 53 }), `${AT}.int_value`],
    ['a text as float_value', cell({ float_value: '1' }), `${AT}.float_value`],
    ['a number as bool_value', cell({ bool_value: 1 }), `${AT}.bool_value`],
    ['a colspan of 0', cell({ int_value: 1, colspan: 0 }), `${AT}.colspan`],
    [
      'rows of no arrays',
      sections({ text: 'x', tables: [{ data: { rows: [{}] } }] }),
      'sections[0].tables[0].data.rows[0]',
    ],
    ['table data given as an array', { ...core, tables: [{ data: [] }] }, 'tables[0].data'],
    ['an image without data', { ...core, images: [{ id: 'i' }] }, 'images[0].image_data'],
    ['image data without MIME type', picture({ data: 'aGVsbG8=' }), 'images[0].image_data.mime_type'],
    [
      'image data given as a data URL',
      picture({ data: 'data:image/png;base64,aGVsbG8=', mime_type: 'image/png' }),
      'images[0].image_data.data',
    ],
    ['image data without padding', picture({ data: 'aGVsbG8', mime_type: 'image/png' }), 'images[0].image_data.data'],
    ['empty image data', picture({ data: '', mime_type: 'image/png' }), 'images[0].image_data.data'],
    ['another chunking strategy', { ...structured, chunking_strategy: { type: 'words' } }, 'chunking_strategy.type'],
    ['a chunking strategy without type', { ...structured, chunking_strategy: {} }, 'chunking_strategy.type'],
    ['chunks of 99', max(99), 'chunking_strategy.max_chars_per_chunk'],
    ['chunks larger than a part', max(1001), 'chunking_strategy.max_chars_per_chunk'],
    ['chunks of a fraction', max(100.5), 'chunking_strategy.max_chars_per_chunk'],
    ['chunks of no number', max('200'), 'chunking_strategy.max_chars_per_chunk'],
    ['max_chars without a number', max(undefined), 'chunking_strategy.max_chars_per_chunk'],
    [
      'max_chars for sentences',
      { ...structured, chunking_strategy: { type: 'sentence_chunking_strategy', max_chars_per_chunk: 100 } },
      'chunking_strategy.max_chars_per_chunk',
    ],
    [
      'a chunking strategy for a core document',
      { ...core, chunking_strategy: { type: 'sentence_chunking_strategy' } },
      'chunking_strategy',
    ],
    ['sections in a core document', { ...core, sections: [] }, 'sections'],
  ];
  test.each(bad)('%s', (_, document, field) => {
    const error = refusal(() => parse(document));
    expect({ code: error.code, field: error.field }).toStrictEqual({ code: 'DOCUMENT_INVALID', field });
    expect(error.message.startsWith(`${field} `) && error.message.endsWith('.')).toBe(true);
  });
});

describe('an unknown field', () => {
  const places: [string, unknown, (copy: Loose) => Loose | undefined][] = [
    ['', structured, (copy) => copy],
    ['chunking_strategy', structured, (copy) => copy['chunking_strategy']],
    ['sections[0]', structured, (copy) => copy['sections']?.[0]],
    ['sections[0].sections[0]', structured, (copy) => copy['sections']?.[0]?.['sections']?.[0]],
    ['sections[1].tables[0]', structured, (copy) => copy['sections']?.[1]?.['tables']?.[0]],
    ['sections[1].tables[0].data', structured, (copy) => copy['sections']?.[1]?.['tables']?.[0]?.['data']],
    [
      'sections[1].tables[0].data.headers[0][1]',
      structured,
      (copy) => copy['sections']?.[1]?.['tables']?.[0]?.['data']?.['headers']?.[0]?.[1],
    ],
    ['sections[0].images[0]', structured, (copy) => copy['sections']?.[0]?.['images']?.[0]],
    ['sections[0].images[0].image_data', structured, (copy) => copy['sections']?.[0]?.['images']?.[0]?.['image_data']],
    ['', core, (copy) => copy],
    ['document_parts[1]', core, (copy) => copy['document_parts']?.[1]],
    ['tables[0]', core, (copy) => copy['tables']?.[0]],
  ];
  test.each(places)('is rejected and named in "%s"', (place, document, at) => {
    for (const value of ['x', null]) {
      const broken = changed(document, (copy) => Object.assign(at(copy) ?? {}, { color: value }));
      const error = refusal(() => parse(broken));
      expect(error.field).toBe(place === '' ? 'color' : `${place}.color`);
      expect(error.message).toContain('color');
    }
  });

  test.each(['my secret', 'sécret', 'a'.repeat(65), 'a\nb', ''])(
    'is not named if its name could be content (%j)',
    (key) => {
      const error = refusal(() =>
        parse(changed(structured, (copy) => Object.assign(copy['sections']?.[0] ?? {}, { [key]: 1 }))),
      );
      expect(error.field).toBe('sections[0]');
      expect(error.message).toBe('sections[0] contains an unknown field (name withheld); remove it.');
    },
  );
});

describe('a text without a JSON document', () => {
  const json = (bytes: Uint8Array | string) => refusal(() => parseDocumentJson(Buffer.from(bytes), LIMITS));
  test.each([
    ['invalid JSON', '{"id": secret}', 'document must be valid JSON.'],
    ['nothing', '', 'document must be valid JSON.'],
    ['two documents', '{}{}', 'document must be valid JSON.'],
    ['a byte order mark', `\uFEFF${JSON.stringify(core)}`, 'document must not begin with a byte order mark.'],
    ['invalid UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22]), 'document must be valid UTF-8.'],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'document must be valid UTF-8.'],
    ['too many bytes', ' '.repeat(65_537), 'document must not exceed 64KiB as JSON; split the document.'],
  ])('is rejected: %s', (_, bytes, message) => {
    const error = json(bytes);
    expect(error).toMatchObject({ code: 'DOCUMENT_INVALID', field: 'document', message });
    expect(error.cause).toBeUndefined();
  });

  it('a lone surrogate written as an escape is found', () => {
    expect(json(JSON.stringify({ ...core, metadata: { a: '\ud800' } })).field).toBe('metadata');
  });
});

describe('a document id', () => {
  it('is returned unchanged', () => {
    expect(checkDocumentId('a/b')).toBe('a/b');
  });

  test.each([undefined, null, 5, '', '\udc00', 'x'.repeat(1025), '😀'.repeat(1025), 'x'.repeat(10_000_000)])(
    "is rejected with the caller's field name",
    (id) => {
      expect(refusal(() => checkDocumentId(id, 'documentId')).field).toBe('documentId');
    },
  );
});

describe('a misspelled field', () => {
  test.each([
    ['without a type', { id: 'a', sectons: [{ text: 'x' }] }, 'sectons', 'sections'],
    ['in place of one that is required', { id: 'a', type: 'structured', sectons: [] }, 'sectons', 'sections'],
    ['of a core document', { id: 'a', type: 'core', document_part: [] }, 'document_part', 'document_parts'],
    ['of a section', { id: 'a', sections: [{ txt: 'x' }] }, 'sections[0].txt', 'text'],
  ])('%s is named with the closest known one', (_, document, field, closest) => {
    const error = refusal(() => parseDocument(document, LIMITS));
    expect(error.field).toBe(field);
    expect(error.message).toBe(`${field} is not a known field; remove it (did you mean ${closest}?).`);
  });

  it('unlike every known one has no suggestion', () => {
    const { message } = refusal(() => parseDocument({ id: 'a', extra: 1 }, LIMITS));
    expect(message).toBe('extra is not a known field; remove it.');
  });
});
