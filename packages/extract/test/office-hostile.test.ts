// Office files that are made to do harm, or came to harm: each ends with its reason, and reaches for nothing outside of itself.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { MAX_ENTRIES, openArchive } from '../src/archive.ts';
import { readDocx } from '../src/formats/docx.ts';
import { readOdt } from '../src/formats/odt.ts';
import { readPptx } from '../src/formats/pptx.ts';
import { faultOf } from './faults.ts';
import { makeDocx, makeOdt, makePptx, wordParagraph } from './make-office.ts';
import { makeZip, type ZipEntry } from './make-zip.ts';

const docx = (bytes: Buffer) => readDocx({ bytes, filename: 'a.docx' });
const odt = (bytes: Buffer) => readOdt({ bytes, filename: 'a.odt' });
const openFault = (entries: readonly ZipEntry[]) =>
  faultOf(Promise.resolve().then(() => openArchive(makeZip(entries))));
const ZEROS = Buffer.alloc(40 * 1024 * 1024);

describe('a zip bomb', () => {
  test('with a declared size of 200 times its own is not unpacked', async () => {
    expect(await openFault([{ name: 'word/document.xml', content: ZEROS }])).toBe('unpacks-too-large');
  });

  test('with a declared size above 256 MiB is not unpacked', async () => {
    const pictures = Array.from({ length: 300 }, (_, at) => ({
      name: `${at}.png`,
      content: 'x',
      claimedBytes: 1 << 20,
    }));
    const noise = { name: 'noise', content: Buffer.alloc(2 << 20, 'x'), isStored: true };
    expect(await openFault([...pictures, noise])).toBe('unpacks-too-large');
  });

  test.each([
    ['in its table of contents', false],
    ['in an entry missing from its table of contents', true],
  ])('with its unpacked size hidden %s is stopped while it is unpacked', async (_where, isHidden) => {
    const bytes = makeZip([
      { name: 'word/document.xml', content: ZEROS, claimedBytes: 10, isHidden },
      { name: '_rels/.rels', content: '<x/>' },
    ]);
    expect(await faultOf(docx(bytes))).toBe('unpacks-too-large');
  });

  test('with more than 10,000 entries is not opened', async () => {
    const entries = Array.from({ length: MAX_ENTRIES + 1 }, (_, at) => ({
      name: `${at}`,
      content: '',
      isStored: true,
    }));
    expect(await openFault(entries)).toBe('too-many-parts');
  });

  test('inside of a document stays packed', async () => {
    const inner = makeZip([{ name: 'word/document.xml', content: ZEROS }]);
    const outer = makeZip([
      { name: 'META-INF/manifest.xml', content: '<x/>' },
      {
        name: 'content.xml',
        content:
          '<office:document-content xmlns:office="o" xmlns:text="t"><office:body><office:text><text:p>Hello</text:p></office:text></office:body></office:document-content>',
      },
      { name: 'Object 1', content: inner },
    ]);
    expect((await odt(outer)).sections).toEqual([{ text: 'Hello' }]);
  });
});

describe('hostile XML', () => {
  const laughs = (root: string): string =>
    `<!DOCTYPE ${root} [<!ENTITY a0 "haha">${Array.from({ length: 12 }, (_, at) => `<!ENTITY a${at + 1} "${`&a${at};`.repeat(10)}">`).join('')}]>`;

  test('with multiplying entities is not expanded', async () => {
    const word = await docx(makeDocx(wordParagraph('Hello &a12;'), {}, laughs('w:document'))).catch(() => undefined);
    const text = await odt(makeOdt('<text:p>Hello &a12;</text:p>', {}, laughs('x'))).catch(() => undefined);
    expect(JSON.stringify([word, text])).not.toContain('haha');
  });

  test('with references outside of the file causes no read or fetch', async () => {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests += 1;
      response.end('<!ENTITY b "fetched">');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const doctype = `<!DOCTYPE x SYSTEM "${url}/x.dtd" [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY h SYSTEM "${url}/h"><!ENTITY % p SYSTEM "${url}/p">%p;]>`;
      const relations = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" Target="${url}/t.dotm" TargetMode="External"/></Relationships>`;
      const files = [
        docx(makeDocx(wordParagraph('&f; &h;'), { 'word/_rels/document.xml.rels': relations }, doctype)),
        odt(makeOdt('<text:p>&f; &h;</text:p>', {}, doctype)),
      ];
      const found = JSON.stringify(await Promise.allSettled(files));
      expect(found).not.toContain('root:');
      expect(found).not.toContain('fetched');
      expect(requests).toBe(0);
    } finally {
      await new Promise((done) => server.close(done));
    }
  });

  test('with elements nested a hundred thousand deep is rejected as too deep', async () => {
    const deep = '<w:sdt><w:sdtContent>'.repeat(100_000) + '</w:sdtContent></w:sdt>'.repeat(100_000);
    expect(await faultOf(docx(makeDocx(deep)))).toBe('too-deep');
  });

  test('with more elements than the limit is rejected as too many parts', async () => {
    expect(await faultOf(docx(makeDocx('<w:p/>'.repeat(2_100_000))))).toBe('too-many-parts');
  });
});

describe('a file', () => {
  test('with an encrypted entry in its archive is encrypted', async () => {
    expect(await openFault([{ name: 'word/document.xml', content: 'x', isEncrypted: true }])).toBe('archive-encrypted');
  });

  test('with encryption in its OpenDocument manifest is encrypted', async () => {
    const manifest =
      '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry m:full-path="content.xml"><m:encryption-data/></m:file-entry></m:manifest>';
    expect(await faultOf(odt(makeOdt('', { 'META-INF/manifest.xml': manifest })))).toBe('office-encrypted');
  });

  test.each([
    ['DOCX', () => makeDocx(wordParagraph('Secret words')), docx],
    ['ODT', () => makeOdt('<text:p>Secret words</text:p>'), odt],
    ['PPTX', () => makePptx([{ lines: ['Secret words'] }]), (bytes: Buffer) => readPptx({ bytes, filename: 'a' })],
  ] as const)('like %s truncated anywhere, or with a bad byte in its text, is damaged', async (_name, make, read) => {
    const whole = make();
    for (const part of [0.1, 0.5, 0.9, 0.999]) {
      const cut = whole.subarray(0, Math.floor(whole.length * part));
      expect(await faultOf(read(cut))).toBe('damaged');
    }
    const bad = Buffer.from(whole);
    const at = bad.indexOf('.xml') + 40;
    bad[at] = bad[at]! ^ 0xff;
    expect(await faultOf(read(bad))).toBe('damaged');
  });

  test('without a required part is damaged', async () => {
    const bytes = makeZip([{ name: 'a.xml', content: '<a/>' }]);
    expect(await faultOf(docx(bytes))).toBe('damaged');
    expect(await faultOf(odt(bytes))).toBe('damaged');
  });
});
