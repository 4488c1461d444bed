// The way from bytes to sections for the formats that are archives, PDF or rich text: found by content alone, whatever the name.
import { expect, test } from 'vitest';
import { extract } from '../../src/extract/extract.ts';
import { faultOf } from './faults.ts';
import { makeEpub } from './make-epub.ts';
import { makeDocx, makeOdt, makePptx, wordParagraph } from './make-office.ts';
import { makePdf } from './make-pdf.ts';

const LIMITS = { documentBytes: 1_000_000 };
const HELLO = 'Hello there.';
const made = (text: string): readonly (readonly [string, Buffer])[] => [
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', makeDocx(wordParagraph(text))],
  ['application/vnd.openxmlformats-officedocument.presentationml.presentation', makePptx([{ title: text, lines: [] }])],
  ['application/vnd.oasis.opendocument.text', makeOdt(`<text:p>${text}</text:p>`)],
  ['application/epub+zip', makeEpub([`<p>${text}</p>`])],
  ['application/pdf', makePdf({ pages: [[text]] })],
  ['application/rtf', Buffer.from(`{\\rtf1\\ansi\\pard ${text}\\par}`)],
];

test.each(made(HELLO))('%s is found by its content, and read.', async (contentType, bytes) => {
  for (const filename of ['a', 'a.txt', 'a.doc', '../\u202e\0a.png']) {
    const found = await extract({ bytes, filename, contentType: 'text/plain' }, LIMITS);
    expect(found.contentType).toBe(contentType);
    expect(JSON.stringify(found.sections)).toContain(HELLO);
  }
});

test.each(made(''))('%s without any text is said to have none.', async (_contentType, bytes) => {
  expect(await faultOf(extract({ bytes, filename: 'a' }, LIMITS))).toBe('FILE_NO_TEXT no-text');
});
