// Documents of the demo: their sections, their marks, and the comparison of texts.
import { describe, expect, test } from 'vitest';
import { isSameText, requestOf, sectionsOf } from '../../src/demo/documents.ts';

const MARK = 'abcdefghijklmnop';
const PAGE = { path: 'a/README.md', text: 'Before.\n\n# Title #\nFirst.\n\n## Below\n\nSecond.\n' };

describe('sections of Markdown', () => {
  test.each([
    ['text before the first heading', 'a\n# B\nc', [{ text: 'a\n' }, { title: 'B', text: 'c' }]],
    [
      'a heading without text',
      '# A\n\n## B\nc',
      [
        { title: 'A', text: '' },
        { title: 'B', text: 'c' },
      ],
    ],
    ['no headings', 'a\nb', [{ text: 'a\nb' }]],
    ['marks without a heading', '#a\n####### b\n# #\n', [{ text: '#a\n####### b\n# #\n' }]],
  ])('cover %s', (_, markdown, sections) => {
    expect(sectionsOf(markdown)).toEqual(sections);
  });

  test('hold all text of a page', () => {
    const texts = sectionsOf(PAGE.text).flatMap(({ title = '', text }) => [title, text]);
    expect(isSameText(texts, [PAGE.text.replaceAll(/^#+/gm, '')])).toBe(true);
  });
});

describe('a request', () => {
  test('is a structured document with a mark in id, metadata and idempotency key', () => {
    expect(requestOf('acme', 'docs', PAGE, MARK)).toMatchObject({
      tenant: 'acme',
      corpus: 'docs',
      idempotencyKey: MARK,
      document: { type: 'structured', id: `${MARK}/a/README.md`, metadata: { mark: MARK, file: 'a/README.md' } },
    });
  });

  test('is a core document of the paragraphs if requested', () => {
    const { document, texts } = requestOf('acme', 'docs', { path: 'a.txt', text: 'a\n \n\nb' }, MARK, true);
    expect(document).toMatchObject({ type: 'core', document_parts: [{ text: 'a' }, { text: 'b' }] });
    expect(texts).toEqual(['a', 'b']);
  });

  test('stays structured if a paragraph is too long for a part', () => {
    const page = { path: 'a.txt', text: 'a'.repeat(16_001) };
    expect(requestOf('acme', 'docs', page, MARK, true).document.type).toBe('structured');
  });
});

test('texts are the same if only white space and cuts differ', () => {
  expect(isSameText(['a b', 'c\n'], ['a', ' bc'])).toBe(true);
  expect(isSameText(['a b', 'c'], ['a', 'c b'])).toBe(false);
});
