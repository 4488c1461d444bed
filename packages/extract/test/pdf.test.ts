// PDFs, compared with the drawn text; and encrypted, damaged or hostile ones.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { readPdf } from '../src/formats/pdf.ts';
import { faultOf } from './faults.ts';
import { makePdf, pdfOf } from './make-pdf.ts';

const read = (bytes: Buffer) => readPdf({ bytes, filename: 'a.pdf' });
const INFO =
  '/Title (Annual report) /Author (Ann \\(A.\\) Lee) /Subject (Money) /Keywords (sales, costs) ' +
  "/CreationDate (D:20260301120000+02'00') /ModDate (D:20260302113000Z)";

test('a PDF becomes one section per page, with its metadata', async () => {
  const pages = [['Sales rose by 5 %.', 'Caf\u00e9 costs fell (a lot).'], [], ['The hyphen-', 'ated end.']];
  expect(await read(makePdf({ pages, info: INFO, catalog: '/Lang (en-GB)' }))).toEqual({
    contentType: 'application/pdf',
    title: 'Annual report',
    metadata: {
      author: 'Ann (A.) Lee',
      subject: 'Money',
      keywords: 'sales, costs',
      lang: 'en-GB',
      created: '2026-03-01T10:00:00.000Z',
      modified: '2026-03-02T11:30:00.000Z',
      pages: 3,
    },
    sections: [
      { title: 'Page 1', text: 'Sales rose by 5 %.\nCaf\u00e9 costs fell (a lot).' },
      { title: 'Page 3', text: 'The hyphen-\nated end.' },
    ],
  });
});

test('metadata in the XMP packet only is read there', async () => {
  const xmp =
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">' +
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Annual report</rdf:li></rdf:Alt></dc:title><dc:creator><rdf:Seq><rdf:li>Ann</rdf:li><rdf:li>Bo</rdf:li></rdf:Seq></dc:creator>' +
    '<xmp:CreateDate>2026-03-01T12:00:00+02:00</xmp:CreateDate></rdf:Description></rdf:RDF></x:xmpmeta>';
  const bytes = pdfOf([
    '<< /Type /Catalog /Pages 2 0 R /Metadata 3 0 R >>',
    '<< /Type /Pages /Kids [4 0 R] /Count 1 >>',
    `<< /Type /Metadata /Subtype /XML /Length ${xmp.length} >>\nstream\n${xmp}\nendstream`,
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] >>',
  ]);
  const { title, metadata } = await read(bytes);
  expect({ title, metadata }).toEqual({
    title: 'Annual report',
    metadata: { author: 'Ann, Bo', created: '2026-03-01T10:00:00.000Z', pages: 1 },
  });
});

test('every word of 100 pages is found, in order', async () => {
  const pages = Array.from({ length: 100 }, (_, page) =>
    Array.from({ length: 50 }, (_line, line) => `page${page} line${line} some words that stand in this line`),
  );
  const { sections } = await read(makePdf({ pages }));
  expect(sections.map(({ text }) => text)).toEqual(pages.map((lines) => lines.join('\n')));
});

test('text in an East Asian font with only a named character table is read', async () => {
  const bytes = pdfOf([
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /Font << /F 5 0 R >> >> /Contents 4 0 R >>',
    '<< /Length 30 >>\nstream\nBT /F 9 Tf <4F60597D> Tj ET    \nendstream',
    '<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [6 0 R] >>',
    '<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /FontDescriptor 7 0 R >>',
    '<< /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 /Descent -200 /StemV 80 >>',
  ]);
  expect((await read(bytes)).sections).toEqual([{ title: 'Page 1', text: '你好' }]);
});

test('a PDF with an empty password is read', async () => {
  const { sections } = await read(makePdf({ pages: [['Hello there.']], password: '' }));
  expect(sections).toEqual([{ title: 'Page 1', text: 'Hello there.' }]);
});

test('a PDF with a password is encrypted', async () => {
  const bytes = makePdf({ pages: [['Hello there.']], password: 'secret' });
  expect(await faultOf(read(bytes))).toBe('pdf-encrypted');
});

test('a truncated PDF is damaged', async () => {
  const whole = makePdf({ pages: Array.from({ length: 20 }, () => ['Some words.']) });
  for (const part of [0.01, 0.3, 0.6, 0.9, 0.99]) {
    expect(await faultOf(read(whole.subarray(0, Math.floor(whole.length * part))))).toBe('damaged');
  }
  expect(await faultOf(read(Buffer.from('%PDF-1.7\nnothing\n%%EOF\n')))).toBe('damaged');
});

test('a circular page tree is damaged', async () => {
  const bytes = makePdf({ pages: [], tree: '<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 5 >>' });
  expect(await faultOf(read(bytes))).toBe('damaged');
});

test('a form that draws itself, and a stream longer than the file, come to an end', async () => {
  const form = (length: number): string =>
    `<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> /Length ${length} >>\nstream\n/X Do /X Do\nendstream`;
  const bytes = pdfOf([
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /XObject << /X 5 0 R >> /Font << /F 6 0 R >> >> /Contents 4 0 R >>',
    '<< /Length 999999999 >>\nstream\n/X Do BT /F 9 Tf (Hello) Tj ET\nendstream',
    form(11),
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ]);
  expect((await read(bytes)).sections).toEqual([{ title: 'Page 1', text: 'Hello' }]);
});

test('a PDF of more than 10,000 pages has too many parts', async () => {
  const pages = Array.from({ length: 1 }, () => ['x']);
  const tree = `<< /Type /Pages /Kids [${'4 0 R '.repeat(10_001)}] /Count 10001 >>`;
  expect(await faultOf(read(makePdf({ pages, tree })))).toBe('too-many-parts');
});

test('a PDF of a million objects and nested arrays is read', async () => {
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R /Deep 3 0 R >>',
    '<< /Type /Pages /Kids [4 0 R] /Count 1 >>',
    '['.repeat(100_000) + ']'.repeat(100_000),
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /Font << /F 6 0 R >> >> /Contents 5 0 R >>',
    '<< /Length 24 >>\nstream\nBT /F 9 Tf (Hello) Tj ET\nendstream',
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
    ...Array.from({ length: 1_000_000 }, (_, at) => `${at}`),
  ];
  expect((await read(pdfOf(objects))).sections).toEqual([{ title: 'Page 1', text: 'Hello' }]);
});

test('a process that may only read files prints nothing but the result', () => {
  const script = `
    const { readPdf } = await import(${JSON.stringify(new URL('../src/formats/pdf.ts', import.meta.url).href)});
    const bytes = Buffer.from(process.argv[1], 'base64');
    process.stdout.write((await readPdf({ bytes, filename: 'a.pdf' })).sections[0].text);`;
  const bytes = makePdf({ pages: [['Hello.']] }).toString('base64');
  const flags = ['--permission', '--allow-fs-read=*', '--input-type=module', '-e', script, bytes];
  const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
  expect([stdout, stderr]).toEqual(['Hello.', '']);
});
