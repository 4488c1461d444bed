// References in a file are never followed: readers get every way to refer to something outside, and a server that counts
// requests. They run outside of the sandbox of a child process here, so that the readers themselves are tested.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { extract } from '../src/extract.ts';
import { makeEpub } from './make-epub.ts';
import { makeDocx, makeOdt, wordParagraph } from './make-office.ts';
import { pdfOf } from './make-pdf.ts';

let server: Server;
let requests: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end('fetched');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});

afterAll(() => new Promise((done) => server.close(done)));

const TYPES = ['html', 'xml', 'md', 'eml', 'rtf', 'pdf', 'docx', 'odt', 'epub'] as const;

function fileOf(type: (typeof TYPES)[number], url: string): string | Buffer {
  const doctype = `<!DOCTYPE x SYSTEM "${url}/dtd" [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY h SYSTEM "${url}/h"><!ENTITY % p SYSTEM "${url}/p">%p;]>`;
  const page = `<base href="${url}/"><link rel="stylesheet" href="${url}/css"><script src="${url}/js"></script><meta http-equiv="refresh" content="0;url=${url}/go"><img src="${url}/img" alt=""><iframe src="${url}/frame"></iframe><object data="${url}/o"></object><style>@import url(${url}/i)</style><p>Words`;
  const action = `<< /S /URI /URI (${url}/a) >>`;
  const files: Record<(typeof TYPES)[number], () => string | Buffer> = {
    html: () => `<!DOCTYPE html>${page}`,
    xml: () =>
      `<?xml version="1.0"?><?xml-stylesheet href="${url}/xsl"?>${doctype}<x xmlns:xi="http://www.w3.org/2001/XInclude" xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:schemaLocation="a ${url}/xsd">Words &f; &h;<xi:include href="${url}/xi"/></x>`,
    md: () => `# A\n\nWords ![](${url}/img) <img src="${url}/tag"> [link](${url}/l) [r]\n\n[r]: ${url}/r\n`,
    eml: () =>
      `From: a@example.org\r\nTo: b@example.org\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: message/external-body; access-type=URL; URL="${url}/e"\r\n\r\nContent-Type: text/plain\r\n\r\n--B\r\nContent-Type: text/html\r\nContent-Location: ${url}/c\r\n\r\n${page}\r\n--B--`,
    rtf: () =>
      `{\\rtf1\\ansi{\\*\\template ${url}/t}{\\field{\\*\\fldinst INCLUDEPICTURE "${url}/p"}{\\fldrslt Words}}{\\object\\objautlink{\\*\\objdata ${Buffer.from(`${url}/o`).toString('hex')}}}\\par}`,
    pdf: () =>
      pdfOf([
        `<< /Type /Catalog /Pages 2 0 R /OpenAction ${action} /URI << /Base (${url}/) >> >>`,
        '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
        `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /Font << /F 5 0 R >> /XObject << /X 6 0 R >> >> /Contents 4 0 R /AA << /O ${action} >> >>`,
        '<< /Length 31 >>\nstream\n/X Do BT /F 9 Tf (Words) Tj ET \nendstream',
        '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
        `<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Ref << /F << /FS /URL /F (${url}/x) >> /Page 0 >> /F << /FS /URL /F (${url}/f) >> /Length 0 >>\nstream\n\nendstream`,
      ]),
    docx: () =>
      makeDocx(
        `${wordParagraph('Words')}<w:p><w:r><w:drawing><a:blip xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" r:link="r1"/></w:drawing></w:r></w:p>`,
        {
          'word/_rels/document.xml.rels': `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${['attachedTemplate', 'image', 'subDocument', 'frame'].map((kind, at) => `<Relationship Id="r${at}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/${kind}" Target="${url}/${kind}" TargetMode="External"/>`).join('')}</Relationships>`,
        },
      ),
    odt: () =>
      makeOdt(
        `<text:p>Words</text:p><text:section><text:section-source xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="${url}/s"/></text:section>`,
      ),
    epub: () =>
      makeEpub([page.replace(/<(base|link|meta|img)([^>]*)>/g, '<$1$2/>').replace('<p>Words', '<p>Words</p>')]),
  };
  return files[type]();
}

test.each(TYPES)('a file of the type %s that refers to a server is read without a request', async (type) => {
  requests = [];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = { bytes: Buffer.from(fileOf(type, url) as string), filename: `a.${type}` };
  const { sections } = await extract(file, { textBytes: 1_000_000 });
  const found = JSON.stringify(sections);
  expect(found).toContain('Words');
  expect(found).not.toMatch(/root:|fetched/);
  expect(requests).toEqual([]);
});

test('the server counts a request if there is one', async () => {
  await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/seen`);
  expect(requests).toContain('/seen');
});
