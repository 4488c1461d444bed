// Files that are made to do harm, read as a worker has them read: by a real child process, within its limits. Each ends with a word
// of the closed list and its sentence, or with its text, and the next file is read as if nothing had been.
import { afterAll, describe, expect, test } from 'vitest';
import { CHILD_ENTRY } from '../../src/extract/extractor.ts';
import { FILE_REASONS, type FileReasonName } from '../../src/extract/reasons.ts';
import { compoundFile } from './compound-file.ts';
import { makeEpub } from './make-epub.ts';
import { makeDocx, makeOdt, makePptx, wordNotes, wordParagraph } from './make-office.ts';
import { makePdf, pdfOf } from './make-pdf.ts';
import { makeZip } from './make-zip.ts';
import { openPool, PLACE } from './room.ts';

const MIB = 1_048_576;
const LONG_MS = 120_000;
const SECRET = 'Sesame';

const pool = openPool({ entry: CHILD_ENTRY, heapBytes: 512 * MIB, extractMs: 60_000 });
/** For what would go on for ever. */
const hasty = openPool({ entry: CHILD_ENTRY, heapBytes: 512 * MIB, extractMs: 3000 });

afterAll(() => Promise.all([pool.stop(), hasty.stop()]));

/** Texts of the record's parts; the sentence of the failure where there is none. */
async function outcomeOf(bytes: Buffer | string, filename = 'a', from = pool): Promise<string> {
  try {
    const record = await from.extract({ bytes: Buffer.from(bytes as string), filename }, PLACE);
    const [, ...parts] = record.bytes.toString().trim().split('\n');
    return parts.map((line) => (JSON.parse(line) as { text: string }).text).join('');
  } catch (error) {
    return (error as Error).message;
  }
}

const says = (reason: FileReasonName): string => FILE_REASONS[reason].says;

const repeated = (attributes: string): string =>
  `<table:table><table:table-row><table:table-cell ${attributes}><text:p>${SECRET}</text:p></table:table-cell></table:table-row></table:table>`;

const spine = (count: number, href: (at: number) => string): Record<string, string> => {
  const all = Array.from({ length: count }, (_, at) => at);
  const items = all.map((at) => `<item id="i${at}" href="${href(at)}" media-type="application/xhtml+xml"/>`).join('');
  return {
    'OEBPS/content.opf': `<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest>${items}</manifest><spine>${all.map((at) => `<itemref idref="i${at}"/>`).join('')}</spine></package>`,
  };
};

/** Forms that draw the next one ten times each. */
function tenfold(levels: number): Buffer {
  const form = (draws: string, next: number): string =>
    `<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X ${next} 0 R >> /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> /Length ${draws.length} >>\nstream\n${draws}\nendstream`;
  return pdfOf([
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /XObject << /X 5 0 R >> >> /Contents 4 0 R >>',
    '<< /Length 5 >>\nstream\n/X Do\nendstream',
    ...Array.from({ length: levels }, (_, at) => form('/X Do '.repeat(10), 6 + at)),
    form('BT /F 9 Tf (x) Tj ET', 1),
  ]);
}

describe('bombs', () => {
  test.each<[string, () => Buffer, string]>([
    [
      'parts that each claim to be small and together are not',
      () => {
        const content = Buffer.alloc(4 * MIB, SECRET);
        const parts = Array.from({ length: 100 }, (_, at) => ({ name: `word/${at}.xml`, content, claimedBytes: 10 }));
        return makeZip([{ name: 'word/document.xml', content: '<x/>' }, ...parts]);
      },
      says('unpacks-too-large'),
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
      'a cell that is repeated a million times',
      () => makeOdt(repeated('table:number-columns-repeated="100000000"')),
      says('too-many-parts'),
    ],
    [
      'one note that is referred to ten thousand times',
      () =>
        makeDocx(`<w:p>${'<w:r><w:footnoteReference w:id="2"/></w:r>'.repeat(10_000)}</w:p>`, {
          'word/footnotes.xml': wordNotes(`${SECRET} `.repeat(10_000)),
        }),
      says('text-too-large'),
    ],
    [
      'ten thousand slides',
      () => makePptx(Array.from({ length: 10_000 }, () => ({ lines: ['a'] }))),
      says('too-many-parts'),
    ],
    [
      'a hundred thousand chapters that are missing',
      () =>
        makeEpub(
          ['<p>a</p>'],
          spine(100_000, (at) => `${at}.xhtml`),
        ),
      says('damaged'),
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
      expect(await outcomeOf(bytes, 'a.docx')).toBe(outcome);
    },
    LONG_MS,
  );

  test(
    'spaces by the hundred million are no more than some',
    async () => {
      const outcome = await outcomeOf(makeOdt('<text:p>One<text:s text:c="100000000"/>two</text:p>'));
      expect(outcome.replace(/\s+/g, ' ')).toBe('One two');
    },
    LONG_MS,
  );

  test(
    'forms that draw the next one ten times each are stopped by the clock',
    async () => {
      expect(await outcomeOf(tenfold(30), 'a.pdf', hasty)).toBe(says('time'));
    },
    LONG_MS,
  );
});

describe('circles in a PDF', () => {
  const stream = (text: string, entries = ''): string =>
    `<< /Length ${text.length} ${entries} >>\nstream\n${text}\nendstream`;
  const HELLO = stream('BT /F 9 Tf (Hello) Tj ET');
  const HELVETICA = '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>';
  const objects = ({ catalog = '', font = HELVETICA, more = [] as readonly string[] } = {}): string[] => [
    `<< /Type /Catalog /Pages 2 0 R ${catalog} >>`,
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /Font << /F 5 0 R >> >> /Contents 4 0 R >>',
    HELLO,
    font,
    ...more,
  ];

  /** With its objects 1 to 3 in an object stream that goes on in itself, and a table that came after itself. */
  function packed(): Buffer {
    const inside = objects().slice(0, 3);
    let at = 0;
    const heads = inside.map((object, index) => {
      const head = `${index + 1} ${at} `;
      at += object.length + 1;
      return head;
    });
    const first = heads.join('').length;
    const all = [
      HELLO,
      HELVETICA,
      stream(`${heads.join('')}${inside.join(' ')}`, `/Type /ObjStm /N 3 /First ${first} /Extends 6 0 R`),
    ];
    let text = '%PDF-1.7\n';
    const rows = [[0, 0, 0], ...inside.map((_, index) => [2, 6, index])];
    for (const [index, object] of all.entries()) {
      rows.push([1, text.length, 0]);
      text += `${index + 4} 0 obj\n${object}\nendobj\n`;
    }
    rows.push([1, text.length, 0]);
    const table = Buffer.concat(
      rows.map(([type = 0, place = 0, index = 0]) => Buffer.from([type, place >> 8, place & 255, index])),
    );
    const entries = `/Type /XRef /Size 8 /W [1 2 1] /Root 1 0 R /Prev ${text.length}`;
    return Buffer.from(
      `${text}7 0 obj\n${stream(table.toString('latin1'), entries)}\nendobj\nstartxref\n${text.length}\n%%EOF\n`,
      'latin1',
    );
  }

  test.each<[string, () => Buffer]>([
    [
      'a table of objects that came after itself',
      () => {
        const text = pdfOf(objects()).toString('latin1');
        return Buffer.from(text.replace('/Root', `/Prev ${/startxref\n(\d+)/.exec(text)?.[1] ?? ''} /Root`), 'latin1');
      },
    ],
    ['a table in a stream and a stream of objects that go on in themselves', packed],
    [
      'outlines that hold themselves',
      () =>
        pdfOf(
          objects({
            catalog: '/Outlines 6 0 R',
            more: ['<< /First 7 0 R /Last 7 0 R >>', '<< /Title (a) /Parent 6 0 R /Next 7 0 R /First 7 0 R >>'],
          }),
        ),
    ],
    ['a length that is the stream itself', () => pdfOf(objects().with(3, HELLO.replace(/Length \d+/, 'Length 4 0 R')))],
    [
      'a glyph that is drawn in its own font',
      () =>
        pdfOf(
          objects({
            font: '<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 72 /LastChar 72 /Widths [5] /Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [72 /H] >> /CharProcs << /H 6 0 R >> /Resources << /Font << /F 5 0 R >> >> >>',
            more: [stream('BT /F 9 Tf (H) Tj ET')],
          }),
        ),
    ],
  ])(
    '%s',
    async (_, make) => {
      expect(await outcomeOf(make(), 'a.pdf')).toBe('Page 1Hello');
    },
    LONG_MS,
  );

  test(
    'a font that is inside of itself',
    async () => {
      const font =
        '<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding 6 0 R /ToUnicode 6 0 R /DescendantFonts [5 0 R] >>';
      const bytes = pdfOf(objects({ font, more: [stream('', '/Type /CMap /UseCMap 6 0 R')] }));
      // Nobody can say which characters they are.
      expect(await outcomeOf(bytes, 'a.pdf')).toMatch(/^Page 1|holds no text/);
    },
    LONG_MS,
  );

  test(
    'and a million objects',
    async () => {
      const bytes = pdfOf(objects({ more: Array.from({ length: 1_000_000 }, () => '0') }));
      expect(await outcomeOf(bytes, 'a.pdf')).toBe('Page 1Hello');
    },
    LONG_MS,
  );
});

describe('depth, length and odd bytes', () => {
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
      'characters that there are not',
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
    ['RTF groups by the million', 'a.rtf', () => `{\\rtf1\\ansi\\pard x${'{'.repeat(1_000_000)}`, says('too-deep')],
    [
      'RTF with binary data that claims more than there is',
      'a.rtf',
      () => `{\\rtf1\\ansi\\pard x{\\pict\\bin99999999 y}\\par}`,
      says('damaged'),
    ],
  ])(
    '%s',
    async (_, filename, make, outcome) => {
      expect(await outcomeOf(make(), filename)).toBe(outcome);
    },
    LONG_MS,
  );

  test(
    'RTF with a row of two hundred thousand characters by number keeps them all',
    async () => {
      const outcome = await outcomeOf(`{\\rtf1\\ansi\\pard ${'\\u8364 ?'.repeat(200_000)}\\par}`);
      expect(outcome).toBe('€'.repeat(200_000));
    },
    LONG_MS,
  );

  test(
    'one line of ten megabytes is whole',
    async () => {
      const outcome = await outcomeOf('x'.repeat(10 * MIB - 1), 'a.txt');
      expect(outcome.length).toBe(10 * MIB - 1);
    },
    LONG_MS,
  );
});

describe('locks', () => {
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
  ])('on %s', async (_, filename, bytes, reason) => {
    expect(await outcomeOf(bytes, filename)).toBe(says(reason));
  });
});

test.each(['../../etc/passwd', 'a\0.txt', '\u202etxt.exe', 'x'.repeat(4000), '', '.', '/', 'CON', '%00', '$(id)'])(
  'The name %j is only a name.',
  async (filename) => {
    const { bytes } = await pool.extract({ bytes: Buffer.from('Words.'), filename }, PLACE);
    const [head = '{}'] = bytes.toString().split('\n');
    expect(JSON.parse(head)).toMatchObject({ source: { filename, contentType: 'text/plain' } });
  },
);

test('After all that the next file is read.', async () => {
  expect(await outcomeOf(makeDocx(wordParagraph('All is well.')))).toBe('All is well.');
  expect(pool.stats()).toMatchObject({ busy: 0, waiting: 0, killedTotal: 0 });
});
