// From a file to its sections within the limits of a document, for any output of a reader.
import { describe, expect, test } from 'vitest';
import type { Section } from '../src/extracted.ts';
import { extract } from '../src/extract.ts';
import { normalize } from '../src/normalize.ts';
import { faultOf } from './faults.ts';

const limits = { textBytes: 1000 };
const found = (sections: Section[], metadata = {}, title?: string) =>
  normalize({ contentType: 'text/plain', metadata, sections, ...(title !== undefined && { title }) }, limits);

describe('a file', () => {
  test('with text becomes one section', async () => {
    expect(await extract({ bytes: Buffer.from('One.\r\nTwo.'), filename: 'a.txt' }, limits)).toEqual({
      contentType: 'text/plain',
      metadata: {},
      sections: [{ text: 'One.\nTwo.' }],
    });
  });

  test('with only white space has no text', async () => {
    const file = { bytes: Buffer.from(' \n\t\n'), filename: 'a.txt' };
    expect(await faultOf(extract(file, limits))).toBe('no-text');
  });

  test('with an unsupported type is rejected with the type', async () => {
    const bytes = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
    expect(await faultOf(extract({ bytes, filename: 'a.txt' }, limits))).toBe('unsupported image/png');
  });

  test('with more text than a document may have is rejected', async () => {
    const file = { bytes: Buffer.from('x'.repeat(1001)), filename: 'a.txt' };
    expect(await faultOf(extract(file, limits))).toBe('text-too-large');
  });
});

describe('the output of a reader', () => {
  test('has no control characters, lone surrogates or foreign line ends', () => {
    const { title, sections, metadata } = found(
      [{ title: 'A\0 \n B', text: 'a\rb\r\nc\0\u001b[1m\ud800\ttab' }],
      { author: 'Ann\0\u0007', odd: '\ud83d' },
      'T\u0001itle',
    );
    expect(title).toBe('Title');
    expect(sections).toEqual([{ title: 'A B', text: 'a\nb\nc[1m\ufffd\ttab' }]);
    expect(metadata).toEqual({ author: 'Ann', odd: '\ufffd' });
  });

  test('loses blank sections, and their content moves up', () => {
    const { sections } = found([
      { text: '  ' },
      { title: ' ', sections: [{ text: 'in' }, { title: 'Only a title' }] },
      { text: 'out' },
    ]);
    expect(sections).toEqual([{ text: 'in' }, { title: 'Only a title', text: '' }, { text: 'out' }]);
  });

  test('has sections deeper than 32 levels beside the deepest, in order', () => {
    let deep: Section = { title: 'level 100000', text: '' };
    for (let level = 99_999; level > 0; level -= 1) deep = { title: `${level}`, text: '', sections: [deep] };
    const { sections } = normalize(
      { contentType: 'text/plain', metadata: {}, sections: [deep] },
      { textBytes: 10_000_000 },
    );
    let level: readonly Section[] | undefined = sections;
    for (let depth = 1; depth < 32; depth += 1) {
      expect(level?.map(({ title }) => title)).toEqual([`${depth}`]);
      level = level?.[0]?.sections;
    }
    expect(level).toHaveLength(100_000 - 31);
    expect(level?.slice(0, 3).map(({ title, sections }) => [title, sections])).toEqual([
      ['32', undefined],
      ['33', undefined],
      ['34', undefined],
    ]);
  });

  test('with more than 100,000 sections is rejected', async () => {
    const sections = Array.from({ length: 100_001 }, () => ({ text: 'x' }));
    const work = async () => normalize({ contentType: 'x/y', metadata: {}, sections }, { textBytes: 10_000_000 });
    expect(await faultOf(work())).toBe('too-many-parts');
  });

  test('has a long title truncated, and complete in the text', () => {
    const title = `${'é'.repeat(299)}😀 end`;
    const { sections } = normalize(
      { contentType: 'x/y', metadata: {}, sections: [{ title, text: 'text' }] },
      { textBytes: 10_000 },
    );
    expect(sections).toEqual([{ title: 'é'.repeat(299), text: `${title}\n\ntext` }]);
  });

  test('has bounded metadata: fields, values and kinds', () => {
    const fields = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`f${at}`, at]));
    const { metadata } = found([{ text: 'x' }], {
      long: 'y'.repeat(5000),
      list: ['a', '', 1, ['nested'], null],
      blank: ' ',
      none: undefined,
      date: new Date(0),
      counts: { damaged: 2 },
      ...fields,
    });
    expect(Object.keys(metadata)).toHaveLength(100 - 2);
    expect(metadata).toMatchObject({
      date: '1970-01-01T00:00:00.000Z',
      long: 'y'.repeat(4096),
      list: ['a', 1],
      counts: { damaged: 2 },
      f0: 0,
    });
  });
});
