// Word, PowerPoint and OpenDocument files, compared with their visible text.
import { expect, test } from 'vitest';
import { readDocx } from '../src/formats/docx.ts';
import { readOdt } from '../src/formats/odt.ts';
import { readPptx } from '../src/formats/pptx.ts';
import { makeDocx, makeOdt, makePptx, wordNotes, wordParagraph } from './make-office.ts';

const FACTS = {
  author: 'Ann Lee',
  subject: 'Money',
  keywords: 'sales, costs',
  lang: 'en-GB',
  created: '2026-03-01T10:00:00.000Z',
  modified: '2026-03-02T11:30:00.000Z',
};

const wordRow = (cells: readonly string[]): string =>
  `<w:tr>${cells.map((cell) => `<w:tc>${wordParagraph(cell)}</w:tc>`).join('')}</w:tr>`;

test('a Word document becomes nested sections, with its tables, notes and text boxes', async () => {
  const body = [
    wordParagraph('Before any heading.'),
    wordParagraph('The year', 'Heading1'),
    '<w:p><w:r><w:t>Sales rose</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:t>.</w:t><w:tab/><w:t>Fine &amp; well</w:t><w:br/><w:t>indeed</w:t></w:r></w:p>',
    wordParagraph('Spring', 'Heading2'),
    `<w:tbl>${wordRow(['Month', 'Sum'])}${wordRow(['May', '7'])}</w:tbl>`,
    wordParagraph('Boxes', 'Heading1'),
    `<w:p><w:r><w:t>Outside</w:t></w:r><w:r><w:pict><v:shape><v:textbox><w:txbxContent>${wordParagraph('Inside')}</w:txbxContent></v:textbox></v:shape></w:pict></w:r></w:p>`,
    '<w:p><w:ins><w:r><w:t>kept</w:t></w:r></w:ins><w:del><w:r><w:delText>struck</w:delText></w:r></w:del></w:p>',
  ].join('');
  const bytes = makeDocx(body, { 'word/footnotes.xml': wordNotes('Not in May.') });
  expect(await readDocx({ bytes, filename: 'a.docx' })).toEqual({
    contentType: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    title: 'Annual report',
    metadata: { ...FACTS, pages: 3 },
    sections: [
      { text: 'Before any heading.' },
      {
        title: 'The year',
        text: 'Sales rose.\tFine & well\nindeed\nNot in May.',
        sections: [{ title: 'Spring', text: 'Month\tSum\nMay\t7' }],
      },
      { title: 'Boxes', text: 'Outside\nInside\nkept' },
    ],
  });
});

test('a Word heading is a heading with or without a number; a list item is not', async () => {
  const numbered = (text: string, id: number, style: string): string =>
    `<w:p><w:pPr><w:pStyle w:val="${style}"/><w:numPr><w:ilvl w:val="0"/><w:numId w:val="${id}"/></w:numPr></w:pPr><w:r><w:t>${text}</w:t></w:r></w:p>`;
  const body = [
    wordParagraph('The year', 'Heading1'),
    numbered('Spring', 0, 'Heading2'),
    numbered('First of all', 1, 'ListParagraph'),
    numbered('May', 1, 'Heading3'),
    wordParagraph('It rained.'),
  ].join('');
  expect((await readDocx({ bytes: makeDocx(body), filename: 'a.docx' })).sections).toMatchObject([
    {
      title: 'The year',
      sections: [{ title: 'Spring', text: 'First of all', sections: [{ title: 'May', text: 'It rained.' }] }],
    },
  ]);
});

test('a presentation becomes one section per slide, with its table and the notes at the end', async () => {
  const bytes = makePptx([
    {
      title: 'Sales',
      lines: ['They rose.', 'A lot.'],
      notes: 'Say it slowly.',
      table: [
        ['Month', 'Sum'],
        ['May', '7'],
      ],
    },
    { lines: ['No title here.'] },
    { title: 'End', lines: [] },
  ]);
  expect(await readPptx({ bytes, filename: 'a.pptx' })).toEqual({
    contentType: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
    title: 'Annual report',
    metadata: { ...FACTS, slides: 3 },
    sections: [
      { title: 'Sales', text: 'They rose.\nA lot.\nMonth\tSum\nMay\t7\nSay it slowly.' },
      { title: 'Slide 2', text: 'No title here.' },
      { title: 'End', text: '' },
    ],
  });
});

test('an OpenDocument text becomes nested sections, with its lists, tables and notes', async () => {
  const cell = (text: string): string => `<table:table-cell><text:p>${text}</text:p></table:table-cell>`;
  const bytes = makeOdt(
    '<text:p>Before any heading.</text:p><text:h text:outline-level="1">The year</text:h>' +
      '<text:p>Sales rose<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>Not in May.</text:p></text:note-body></text:note>.<text:tab/>Fine<text:s text:c="2"/>and<text:line-break/>well</text:p>' +
      '<text:list><text:list-item><text:p>One</text:p><text:list><text:list-item><text:p>Inner</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>Two</text:p></text:list-item></text:list>' +
      `<text:h text:outline-level="2">Spring</text:h><table:table><table:table-row>${cell('Month')}${cell('Sum')}</table:table-row><table:table-row>${cell('May')}${cell('7')}</table:table-row></table:table>`,
  );
  expect(await readOdt({ bytes, filename: 'a.odt' })).toEqual({
    contentType: 'application/vnd.oasis.opendocument.text',
    title: 'Annual report',
    metadata: { ...FACTS, pages: 3 },
    sections: [
      { text: 'Before any heading.' },
      {
        title: 'The year',
        text: 'Sales rose.\tFine  and\nwell\nNot in May.\nOne\nInner\nTwo',
        sections: [{ title: 'Spring', text: 'Month\tSum\nMay\t7' }],
      },
    ],
  });
});
