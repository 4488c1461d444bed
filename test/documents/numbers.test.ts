// Numbers, missing types and duplicate keys in documents: accepted and rejected JSON.
import { describe, expect, it, test } from 'vitest';
import { checkFileFacts } from '../../src/documents/file.ts';
import { readRecord, writeRecord } from '../../src/documents/record.ts';
import { parseDocument, parseDocumentJson } from '../../src/documents/shapes.ts';
import { LIMITS, refusal } from './samples.ts';

const parse = (text: string) => parseDocumentJson(Buffer.from(text), LIMITS);

const LARGE = '12345678901234567890123';

async function stored(document: unknown): Promise<{ head: unknown; items: unknown[]; text: string }> {
  const parsed = parseDocument(document, LIMITS);
  const bytes = await writeRecord({ tenant: 't', corpus: 'c', revision: 1, document: parsed }, LIMITS);
  const source = async function* () {
    yield bytes;
  };
  const { head, parts } = await readRecord(source());
  return { head, items: await Array.fromAsync(parts), text: bytes.toString() };
}

describe('large integers in metadata', () => {
  it('keep their digits from JSON text to the reader', async () => {
    const text = `{"id":"a","metadata":{"big":${LARGE}},"sections":[{"text":"x","metadata":{"n":[-9007199254740993]}}]}`;
    const { head, items, text: record } = await stored(parse(text));
    expect(record).toContain(`"big":${LARGE}`);
    expect(head).toMatchObject({ metadata: { big: BigInt(LARGE) } });
    expect(items).toMatchObject([{ metadata: { n: [-9_007_199_254_740_993n] } }]);
  });

  it('are accepted as bigint, and small ones come back as numbers', async () => {
    const document = { id: 'a', metadata: { big: BigInt(LARGE), small: 5n }, document_parts: [{ text: 'x' }] };
    expect((await stored(document)).head).toMatchObject({ metadata: { big: BigInt(LARGE), small: 5 } });
  });

  test.each([Number('9223372036854775807'), -(2 ** 53), 2 ** 53, 1e20])('are rejected as the number %d', (big) => {
    for (const metadata of [{ big }, { list: [{ big }] }]) {
      const { field, message } = refusal(() => parseDocument({ id: 'a', metadata, sections: [{ text: 'x' }] }, LIMITS));
      expect(field).toBe('metadata');
      expect(message).toContain('pass a bigint or a string');
    }
    const inSection = { id: 'a', sections: [{ text: 'x', metadata: { big } }] };
    expect(refusal(() => parseDocument(inSection, LIMITS)).field).toBe('sections[0].metadata');
    expect(refusal(() => checkFileFacts({ metadata: { big } }, LIMITS)).field).toBe('metadata');
  });

  test.each([Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 1e300, -1e21, 4503599627370495.5, 1e-300])(
    'do not include the number %d, which comes back as it is',
    async (value) => {
      const document = { id: 'a', metadata: { value }, document_parts: [{ text: 'x' }] };
      expect((await stored(document)).head).toMatchObject({ metadata: { value } });
    },
  );

  test.each(['1e20', '12345678901234567890.0', '1e300'])('do not include %s in JSON text', (text) => {
    const { metadata } = parse(`{"id":"a","metadata":{"n":${text}},"sections":[{"text":"x"}]}`);
    expect(JSON.stringify(metadata)).toBe(JSON.stringify({ n: Number(text) }));
  });

  it('count in bytes against the limit of metadata', () => {
    const metadata = { big: BigInt(`1${'0'.repeat(LIMITS.metadataBytes)}`) };
    expect(refusal(() => parseDocument({ id: 'a', metadata, sections: [{ text: 'x' }] }, LIMITS)).field).toBe(
      'metadata',
    );
  });

  it('are kept in the metadata of a file', () => {
    const { metadata } = checkFileFacts({ metadata: { big: BigInt(LARGE) } }, LIMITS);
    expect(JSON.stringify(metadata)).toBe(`{"big":${LARGE}}`);
    expect(refusal(() => checkFileFacts({ metadata: 5n }, LIMITS)).field).toBe('metadata');
  });
});

describe('integers for a double', () => {
  it('are numbers if a double can hold them', async () => {
    const text =
      '{"id":"a","custom_dimensions":{"d":9007199254740994},"sections":[{"tables":[{"data":{"rows":[[{"float_value":1152921504606846976}]]}}]}]}';
    const { head, items } = await stored(parse(text));
    expect(head).toMatchObject({ custom_dimensions: { d: 9_007_199_254_740_994 } });
    expect(items).toEqual([{ table: { data: { rows: [[{ float_value: 2 ** 60 }]] } } }]);
  });

  test.each([
    ['custom_dimensions', `{"id":"a","custom_dimensions":{"d":9007199254740993},"sections":[{"text":"x"}]}`],
    [
      'document_parts[0].custom_dimensions',
      `{"id":"a","document_parts":[{"text":"x","custom_dimensions":{"d":9007199254740993}}]}`,
    ],
    [
      'sections[0].tables[0].data.rows[0][0].float_value',
      '{"id":"a","sections":[{"tables":[{"data":{"rows":[[{"float_value":9007199254740993}]]}}]}]}',
    ],
    [
      'sections[0].tables[0].data.rows[0][0].int_value',
      '{"id":"a","sections":[{"tables":[{"data":{"rows":[[{"int_value":9007199254740993}]]}}]}]}',
    ],
    ['sections[0].id', '{"id":"a","sections":[{"id":9007199254740993,"text":"x"}]}'],
    ['sections[0].text', '{"id":"a","sections":[{"text":9007199254740993}]}'],
    ['metadata', '{"id":"a","metadata":9007199254740993,"sections":[{"text":"x"}]}'],
    ['id', '{"id":9007199254740993,"sections":[{"text":"x"}]}'],
  ])('are rejected in %s if it cannot hold them', (field, text) => {
    expect(refusal(() => parse(text)).field).toBe(field);
  });
});

describe('duplicate keys', () => {
  test.each([
    ['sections', 'sections is given twice; remove one.', '{"id":"a","sections":[],"sections":[{"text":"x"}]}'],
    [
      'sections[0].text',
      'sections[0].text is given twice; remove one.',
      '{"id":"a","sections":[{"text":"x","text":"y"}]}',
    ],
    [
      'metadata',
      'metadata has the same key twice; remove one.',
      '{"id":"a","metadata":{"k":1,"k":2},"sections":[{"text":"x"}]}',
    ],
    [
      'document',
      'document has the same key twice; remove one.',
      '{"id":"a","secret":1,"secret":2,"sections":[{"text":"x"}]}',
    ],
  ])('are rejected with the field %s', (field, message, text) => {
    const error = refusal(() => parse(text));
    expect(error).toMatchObject({ code: 'DOCUMENT_INVALID', field, message });
  });
});

describe('a document without type', () => {
  it('has the type of its shape', () => {
    expect(parse('{"id":"a","sections":[{"text":"x"}]}').type).toBe('structured');
    expect(parse('{"id":"a","document_parts":[{"text":"x"}],"type":null}').type).toBe('core');
  });

  test.each([
    '{"id":"a"}',
    '{"id":"a","sections":[{"text":"x"}],"document_parts":[{"text":"x"}]}',
    '{"id":"a","type":"x"}',
  ])('%s is rejected: its type is ambiguous', (text) => {
    expect(refusal(() => parse(text)).field).toBe('type');
  });
});
