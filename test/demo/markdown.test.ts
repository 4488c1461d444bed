// Markdown becomes sections, and what a document gives back is held against the file: nothing lost, nothing moved.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { headingsIn, isTextOf, pageOf, type ReadPart } from '../../src/demo/documents.ts';
import { type MarkdownSection, sectionsOf } from '../../src/demo/markdown.ts';
import { parseDocument } from '../../src/documents/shapes.ts';

const LIMITS = { partChars: 16_384, metadataBytes: 1_048_576, documentBytes: 33_554_432 };

/** Titles and texts in document order, as a reader gives them. */
const partsOf = (sections: readonly MarkdownSection[]): ReadPart[] =>
  sections.flatMap(({ title, text, sections: inside = [] }) => [
    ...(title === undefined ? [] : [{ text: title, isTitle: true }]),
    ...(text === undefined || text.trim() === '' ? [] : [{ text, isTitle: false }]),
    ...partsOf(inside),
  ]);

const fileOf = (text: string, path = 'some/README.md') => ({
  path,
  package: 'some',
  version: '1.0.0',
  text,
  bytes: text.length,
});

describe('sections', () => {
  test('a heading holds what is below it, and deeper headings nest', () => {
    expect(sectionsOf('before\n# A\na\n## B\nb\n### C\n## D\nd\n# E\ne')).toEqual([
      { text: 'before' },
      {
        title: 'A',
        text: 'a',
        sections: [
          { title: 'B', text: 'b', sections: [{ title: 'C', text: '' }] },
          { title: 'D', text: 'd' },
        ],
      },
      { title: 'E', text: 'e' },
    ]);
  });

  test('a level that is skipped nests all the same, and a first heading may be a deep one', () => {
    expect(sectionsOf('### A\n# B\n#### C\nc\n## D\nd')).toEqual([
      { title: 'A', text: '' },
      {
        title: 'B',
        sections: [
          { title: 'C', text: 'c' },
          { title: 'D', text: 'd' },
        ],
      },
    ]);
  });

  test.each(['```', '~~~', '````', '  ```js', '- ```sh'.slice(2)])(
    'a # inside a fence of %s is no heading',
    (fence) => {
      const close = fence.trim().replace(/[a-z]+$/, '');
      const text = `${fence}\n# no heading\n${close}\n`;
      expect(sectionsOf(`${text}# Yes\ny`)).toEqual([{ text: text.trimEnd() }, { title: 'Yes', text: 'y' }]);
    },
  );

  test('a shorter or another fence does not close one, and one that nobody closes reaches to the end', () => {
    expect(sectionsOf('````\n```\n# no\n~~~\n# no\n````\n# Yes')).toHaveLength(2);
    expect(sectionsOf('```\n# no\n``` not closed\n# no')).toHaveLength(1);
  });

  test('underlined headings are headings; rules, lists, tables and front matter are not', () => {
    expect(sectionsOf('Top\n===\nt\n\nSub\n---\ns')).toEqual([
      { title: 'Top', text: 't\n', sections: [{ title: 'Sub', text: 's' }] },
    ]);
    for (const text of ['a\n\n---\n\nb', '- a\n---', '| a | b |\n---', 'two\nlines\n---', '---\na: b\n---'])
      expect(sectionsOf(text)).toEqual([{ text }]);
  });

  test('closing marks, line ends of Windows and spaces around do not belong to a title; other marks do', () => {
    expect(sectionsOf('##  A B  ##  \r\ntext\r\n')).toEqual([{ title: 'A B', text: 'text\r\n' }]);
    expect(sectionsOf('# C#')).toEqual([{ title: 'C#', text: '' }]);
    expect(sectionsOf('#no heading\n#\n    # code\n####### seven')).toHaveLength(1);
  });

  test('a text without headings is one section, and one of white space is none', () => {
    expect(sectionsOf('just text\n')).toEqual([{ text: 'just text\n' }]);
    expect(sectionsOf(' \n\t\n')).toEqual([]);
  });
});

const LINES = [
  '# One',
  '## Two ##',
  '### - Three =',
  '###### Six',
  '#',
  'plain text',
  '- a list',
  '= = =',
  '---',
  '===',
  '',
  ' ',
  '```',
  '~~~~',
  '# ',
  'last\r',
];

describe('what came back', () => {
  test('is the file, whatever lines it is made of, and every document is one that the producer takes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...LINES), fc.string({ unit: 'grapheme' })), { minLength: 1 }),
        (lines) => {
          const text = ['x', ...lines].join('\n');
          expect(isTextOf(partsOf(sectionsOf(text)), text)).toBe(true);
          const structured = pageOf(fileOf(text), 'structured');
          const core = pageOf(fileOf(text), 'core');
          for (const page of [structured, core]) expect(parseDocument(page, LIMITS)).toEqual(page);
          const parts = 'document_parts' in core ? core.document_parts : [];
          expect(
            isTextOf(
              parts.map((part) => ({ ...part, isTitle: false })),
              text,
            ),
          ).toBe(true);
        },
      ),
      { numRuns: 500, seed: 7 },
    );
  });

  test('is not the file when a part is missing, changed, moved, doubled or cut', () => {
    const text = '# A\nfirst text\n## B\n- second\ntext\n### C\nthird - text\n';
    const parts = partsOf(sectionsOf(text));
    expect(isTextOf(parts, text)).toBe(true);
    const [first, second, ...rest] = parts as [ReadPart, ReadPart, ...ReadPart[]];
    for (const wrong of [
      parts.slice(1),
      parts.slice(0, -1),
      [second, first, ...rest],
      [first, first, second, ...rest],
      [first, { ...second, text: 'first tex' }, ...rest],
      [first, { ...second, text: 'First text' }, ...rest],
      [...parts, { text: 'more', isTitle: false }],
      [],
    ])
      expect(isTextOf(wrong, text)).toBe(false);
  });

  test('is not the file when marks are missing that made no heading', () => {
    expect(isTextOf([{ text: 'a b', isTitle: false }], 'a - b')).toBe(false);
    expect(isTextOf([{ text: 'a', isTitle: false }], 'a ---')).toBe(false);
  });
});

test('a long paragraph of a core document is cut between characters, below the limit of a part', () => {
  const text = '𝒳'.repeat(40_000);
  const page = pageOf(fileOf(text), 'core');
  expect(parseDocument(page, LIMITS)).toEqual(page);
  expect('document_parts' in page && page.document_parts.map((part) => part.text).join('')).toBe(text);
});

test('only files of Markdown have headings; the title is the first one, else the name of the file', () => {
  const license = pageOf(fileOf('# no heading', 'some/LICENSE'), 'structured');
  expect(license).toMatchObject({ title: 'LICENSE', sections: [{ text: '# no heading' }] });
  const readme = pageOf(fileOf('intro\n# Some\n## More'), 'structured');
  expect(readme).toMatchObject({
    id: 'some/README.md',
    title: 'Some',
    metadata: { package: 'some', version: '1.0.0', file: 'some/README.md' },
  });
  expect('sections' in readme && headingsIn(readme.sections)).toBe(2);
});
