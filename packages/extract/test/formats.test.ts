// From bytes to sections for the formats of archives, PDF or rich text: detected by content alone, regardless of the name.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { extract } from '../src/extract.ts';
import type { FileError } from '../src/file-error.ts';
import { faultOf } from './faults.ts';
import { makeEpub } from './make-epub.ts';
import { makeDocx, makeOdt, makePptx, wordParagraph } from './make-office.ts';
import { makePdf } from './make-pdf.ts';

const LIMITS = { textBytes: 1_000_000 };
const HELLO = 'Hello there.';
/** Real files: generated ones have almost nothing to truncate. */
const example = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../../../examples/files/${name}`, import.meta.url)));

const made = (text: string): readonly (readonly [string, Buffer])[] => [
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', makeDocx(wordParagraph(text))],
  ['application/vnd.openxmlformats-officedocument.presentationml.presentation', makePptx([{ title: text, lines: [] }])],
  ['application/vnd.oasis.opendocument.text', makeOdt(`<text:p>${text}</text:p>`)],
  ['application/epub+zip', makeEpub([`<p>${text}</p>`])],
  ['application/pdf', makePdf({ pages: [[text]] })],
  ['application/rtf', Buffer.from(`{\\rtf1\\ansi\\pard ${text}\\par}`)],
];

test.each(made(HELLO))('%s is detected by its content, and read', async (contentType, bytes) => {
  for (const filename of ['a', 'a.txt', 'a.doc', '../\u202e\0a.png']) {
    const found = await extract({ bytes, filename, contentType: 'text/plain' }, LIMITS);
    expect(found.contentType).toBe(contentType);
    expect(JSON.stringify(found.sections)).toContain(HELLO);
  }
});

test.each(made(''))('%s without any text is reported as such', async (_contentType, bytes) => {
  expect(await faultOf(extract({ bytes, filename: 'a' }, LIMITS))).toBe('no-text');
});

const BINARY = readdirSync(fileURLToPath(new URL('../../../examples/files/', import.meta.url))).filter((name) =>
  /\.(?:pdf|docx?|pptx?|odt|epub|rtf)$/.test(name),
);

test('the formats with such files are eight', () => {
  expect(new Set(BINARY.map((name) => name.split('.').at(-1))).size).toBe(8);
});

test.each(BINARY)('%s is damaged wherever it is truncated, and never half read', async (filename) => {
  const whole = example(filename);
  const { sections } = await extract({ bytes: whole, filename }, LIMITS);
  for (const part of [0.1, 0.3, 0.5, 0.7, 0.9, 0.99]) {
    const bytes = whole.subarray(0, Math.floor(whole.length * part));
    const found = await extract({ bytes, filename }, LIMITS).then(
      ({ sections }) => sections,
      (error: FileError) => error.reason,
    );
    // The last hundredth of an old Office file can be its metadata, without which its text is complete.
    expect(part === 0.99 && Array.isArray(found) ? found : [part, found]).toEqual(
      part === 0.99 && Array.isArray(found) ? sections : [part, 'damaged'],
    );
  }
});
