// Hostile files, read as a worker reads them: by a real child process, within its limits. Each ends with a reason of the
// closed list, or with its text, and the next file is read as usual.
import { afterAll, describe, expect, test } from 'vitest';
import type { FileReasonName } from '../../src/extract/reasons.ts';
import { compoundFile } from '../../packages/extract/test/compound-file.ts';
import { makeEpub } from '../../packages/extract/test/make-epub.ts';
import { makeDocx, makeOdt, makePptx, wordNotes, wordParagraph } from '../../packages/extract/test/make-office.ts';
import { makePdf } from '../../packages/extract/test/make-pdf.ts';
import { makeZip } from '../../packages/extract/test/make-zip.ts';
import { childPool, outcomeOf, messageOf } from './outcomes.ts';
import { PLACE } from './fixture.ts';

const MIB = 1_048_576;
const LONG_MS = 600_000;
const SECRET = 'Sesame';

const pool = childPool();

afterAll(() => pool.stop());

const repeated = (attributes: string): string =>
  `<table:table><table:table-row><table:table-cell ${attributes}><text:p>${SECRET}</text:p></table:table-cell></table:table-row></table:table>`;

const spine = (count: number, href: (at: number) => string): Record<string, string> => {
  const all = Array.from({ length: count }, (_, at) => at);
  const items = all.map((at) => `<item id="i${at}" href="${href(at)}" media-type="application/xhtml+xml"/>`).join('');
  return {
    'OEBPS/content.opf': `<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest>${items}</manifest><spine>${all.map((at) => `<itemref idref="i${at}"/>`).join('')}</spine></package>`,
  };
};

describe('a bomb is stopped:', () => {
  // The first limit reached depends on the memory used by the process before.
  test('tens of thousands of missing chapters', async () => {
    const book = makeEpub(
      ['<p>a</p>'],
      spine(30_000, (at) => `${at}.xhtml`),
    );
    expect([messageOf('damaged'), messageOf('memory'), messageOf('time')]).toContain(await outcomeOf(pool, book));
  });

  test.each<[string, () => Buffer, string]>([
    [
      'parts with small declared sizes and a large sum',
      () => {
        const content = Buffer.alloc(4 * MIB, SECRET);
        const parts = Array.from({ length: 100 }, (_, at) => ({ name: `word/${at}.xml`, content, claimedBytes: 10 }));
        return makeZip([{ name: 'word/document.xml', content: '<x/>' }, ...parts]);
      },
      messageOf('unpacks-too-large'),
    ],
    [
      'entities that multiply',
      () => {
        const levels = Array.from({ length: 12 }, (_, at) => `<!ENTITY a${at + 1} "${`&a${at};`.repeat(10)}">`);
        return Buffer.from(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">${levels.join('')}]><x>&a12;</x>`);
      },
      '&a12;',
    ],
    [
      'a cell repeated a million times',
      () => makeOdt(repeated('table:number-columns-repeated="100000000"')),
      messageOf('too-many-parts'),
    ],
    [
      'one note referred to ten thousand times',
      () =>
        makeDocx(`<w:p>${'<w:r><w:footnoteReference w:id="2"/></w:r>'.repeat(10_000)}</w:p>`, {
          'word/footnotes.xml': wordNotes(`${SECRET} `.repeat(10_000)),
        }),
      messageOf('text-too-large'),
    ],
    [
      'ten thousand slides',
      () => makePptx(Array.from({ length: 10_000 }, () => ({ lines: ['a'] }))),
      messageOf('too-many-parts'),
    ],
    [
      'one chapter under a hundred thousand numbers',
      () =>
        makeEpub(
          ['<p>Said once.</p>'],
          spine(100_000, () => 'text/c1.xhtml'),
        ),
      'Said once.',
    ],
  ])(
    '%s',
    async (_, make, outcome) => {
      const bytes = make();
      expect(bytes.length).toBeLessThan(10 * MIB);
      expect(await outcomeOf(pool, bytes, 'a.docx')).toBe(outcome);
    },
    LONG_MS,
  );

  test(
    'hundreds of millions of spaces, which count as a few',
    async () => {
      const outcome = await outcomeOf(pool, makeOdt('<text:p>One<text:s text:c="100000000"/>two</text:p>'));
      expect(outcome.replace(/\s+/g, ' ')).toBe('One two');
    },
    LONG_MS,
  );
});

describe('depth, length and odd bytes do no harm:', () => {
  test.each<[string, string, () => string | Buffer, string]>([
    ['HTML a hundred thousand deep', 'a.html', () => `<!DOCTYPE html>${'<div>'.repeat(100_000)}deep`, 'deep'],
    ['an attribute of nine megabytes', 'a.html', () => `<!DOCTYPE html><p title="${'x'.repeat(9 * MIB)}">text`, 'text'],
    [
      'a tag with a million attributes',
      'a.html',
      () => `<!DOCTYPE html><p ${Array.from({ length: 1_000_000 }, (_, at) => `a${at}`).join(' ')}>text`,
      'text',
    ],
    [
      'invalid characters',
      'a.html',
      () => '<!DOCTYPE html><p>a&#x110000;b&#99999999999999;c&#xd800;d',
      'a\ufffdb\ufffdc\ufffdd',
    ],
    ['UTF-16 with half a character at its end', 'a.txt', () => Buffer.from('fffe480069002e', 'hex'), 'Hi\ufffd'],
    ['zero bytes in a text', 'a.txt', () => 'A word.\0', 'A word.'],
    [
      'RTF with a character of a long number',
      'a.rtf',
      () => `{\\rtf1\\ansi\\pard x\\u${'9'.repeat(1_000_000)} ?y\\par}`,
      'xy',
    ],
    [
      'RTF groups by the million',
      'a.rtf',
      () => `{\\rtf1\\ansi\\pard x${'{'.repeat(1_000_000)}`,
      messageOf('too-deep'),
    ],
    [
      'RTF with binary data beyond its end',
      'a.rtf',
      () => `{\\rtf1\\ansi\\pard x{\\pict\\bin99999999 y}\\par}`,
      messageOf('damaged'),
    ],
  ])(
    '%s',
    async (_, filename, make, outcome) => {
      expect(await outcomeOf(pool, make(), filename)).toBe(outcome);
    },
    LONG_MS,
  );

  test(
    'RTF with two hundred thousand numbered characters in a row keeps them all',
    async () => {
      const outcome = await outcomeOf(pool, `{\\rtf1\\ansi\\pard ${'\\u8364 ?'.repeat(200_000)}\\par}`);
      expect(outcome).toBe('€'.repeat(200_000));
    },
    LONG_MS,
  );

  test(
    'one line of ten megabytes is complete',
    async () => {
      const outcome = await outcomeOf(pool, 'x'.repeat(10 * MIB - 1), 'a.txt');
      expect(outcome.length).toBe(10 * MIB - 1);
    },
    LONG_MS,
  );
});

describe('encryption is reported', () => {
  const streams = { EncryptedPackage: Buffer.alloc(5000, SECRET), EncryptionInfo: Buffer.alloc(5000, 1) };
  const locked = makeZip([
    { name: '[Content_Types].xml', content: '<x/>' },
    { name: 'word/document.xml', content: SECRET, isEncrypted: true },
  ]);
  const manifest =
    '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry m:full-path="encrypted-package"><m:encryption-data/></m:file-entry></m:manifest>';
  test.each<[string, string, Buffer, FileReasonName]>([
    ['a DOCX', 'a.docx', compoundFile(streams), 'office-encrypted'],
    ['a PPTX', 'a.pptx', compoundFile(streams), 'office-encrypted'],
    ['an archive', 'a.docx', locked, 'archive-encrypted'],
    [
      'an ODT',
      'a.odt',
      makeOdt(`<text:p>${SECRET}</text:p>`, { 'META-INF/manifest.xml': manifest }),
      'office-encrypted',
    ],
    ['a PDF', 'a.pdf', makePdf({ pages: [[SECRET]], password: SECRET }), 'pdf-encrypted'],
  ])('for %s', async (_, filename, bytes, reason) => {
    expect(await outcomeOf(pool, bytes, filename)).toBe(messageOf(reason));
  });
});

test.each(['../../etc/passwd', 'a\0.txt', '\u202etxt.exe', 'x'.repeat(4000), '', '.', '/', 'CON', '%00', '$(id)'])(
  'the name %j is only used as a name',
  async (filename) => {
    const { bytes } = await pool.extract({ bytes: Buffer.from('Words.'), filename }, PLACE);
    const [head = '{}'] = bytes.toString().split('\n');
    expect(JSON.parse(head)).toMatchObject({ source: { filename, contentType: 'text/plain' } });
  },
);

test('a file after all hostile ones is read', async () => {
  expect(await outcomeOf(pool, makeDocx(wordParagraph('All is well.')))).toBe('All is well.');
  expect(pool.stats()).toMatchObject({ busy: 0, waiting: 0 });
});
