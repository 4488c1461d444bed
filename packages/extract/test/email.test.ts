// E-mail messages: headers, body and readable attachments.
import { describe, expect, test } from 'vitest';
import { extract } from '../src/extract.ts';
import { faultOf } from './faults.ts';
import { makePdf } from './make-pdf.ts';
import { makeZip } from './make-zip.ts';

const read = (mail: string) => extract({ bytes: Buffer.from(mail), filename: 'a.eml' }, { textBytes: 10_000_000 });

const HEAD = 'From: Ann Lee <ann@example.org>\r\nSubject: Hi\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n';

const part = (headers: string, body: string): string => `--B\r\n${headers}\r\n\r\n${body}\r\n`;
const mixed = (...parts: string[]): string =>
  `${HEAD}Content-Type: multipart/mixed; boundary=B\r\n\r\n${parts.join('')}--B--\r\n`;
const attached = (name: string, type: string, content: string | Buffer): string =>
  part(
    `Content-Type: ${type}\r\nContent-Disposition: attachment; filename="${name}"\r\nContent-Transfer-Encoding: base64`,
    Buffer.from(content as string).toString('base64'),
  );

test('headers become metadata, the text becomes the body, and attachments follow under their names', async () => {
  const mail = [
    'Received: from a by b; Mon, 2 Mar 2026 10:00:00 +0000',
    'From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>',
    'To: Ann Lee <ann@example.org>, bob@example.org',
    'Cc: Team: carl@example.org, Dora <dora@example.org>;',
    'Date: Mon, 2 Mar 2026 11:00:00 +0100',
    'Subject: =?iso-8859-1?q?Gr=FC=DFe?=',
    'Message-ID: <1@example.org>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=B',
    '',
    '--B',
    'Content-Type: multipart/alternative; boundary=A',
    '',
    '--A',
    'Content-Type: text/plain; charset=iso-8859-1',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Sch=F6ne Gr=FC=DFe.',
    '--A',
    'Content-Type: text/html',
    '',
    '<p>Never both.</p>',
    '--A--',
    attached('notes.md', 'text/markdown', '---\ntitle: Notes\n---\n# One\nfirst\n# Two\nsecond'),
    attached('list.csv', 'text/csv', 'a;b\n1;2'),
    attached('photo.png', 'image/png', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')),
    attached('empty.txt', 'text/plain', ''),
    '--B--',
  ].join('\r\n');
  expect(await read(mail)).toEqual({
    contentType: 'message/rfc822',
    title: 'Grüße',
    metadata: {
      from: 'Jörg <joerg@example.org>',
      to: ['Ann Lee <ann@example.org>', 'bob@example.org'],
      cc: ['carl@example.org', 'Dora <dora@example.org>'],
      date: '2026-03-02T10:00:00.000Z',
      messageId: '<1@example.org>',
      attachments: 4,
      skippedAttachments: { 'image/png': 1, empty: 1 },
    },
    sections: [
      { text: 'Schöne Grüße.' },
      {
        title: 'notes.md',
        text: '',
        metadata: { attachmentTitle: 'Notes', contentType: 'text/markdown' },
        sections: [
          { title: 'One', text: 'first' },
          { title: 'Two', text: 'second' },
        ],
      },
      { title: 'list.csv', text: 'a;b\n1;2', metadata: { contentType: 'text/plain' } },
    ],
  });
});

test('a message with only HTML is read as its page', async () => {
  const { sections } = await read(`${HEAD}Content-Type: text/html\r\n\r\n<h1>News</h1><p>One</p><p>Two</p>`);
  expect(sections).toEqual([{ title: 'News', text: 'One\nTwo' }]);
});

test('a message in a message is read with its own headers', async () => {
  const inner = `${HEAD}\r\nInner words`;
  const { sections } = await read(
    mixed(part('Content-Type: text/plain', 'Outer'), part('Content-Type: message/rfc822', inner)),
  );
  expect(sections).toEqual([
    { text: 'Outer' },
    {
      title: 'Hi',
      text: 'Inner words',
      metadata: { from: 'Ann Lee <ann@example.org>', messageId: '<1@x>', contentType: 'message/rfc822' },
    },
  ]);
});

test('a body in another charset is read as its part declares', async () => {
  const head = Buffer.from(
    `${HEAD}Content-Type: text/plain; charset=koi8-r\r\nContent-Transfer-Encoding: 8bit\r\n\r\n`,
  );
  const bytes = Buffer.concat([head, Buffer.from('f0d2c9d7c5d4', 'hex')]);
  const { sections } = await extract({ bytes, filename: 'a.eml' }, { textBytes: 1000 });
  expect(sections).toEqual([{ text: 'Привет' }]);
});

test('a message without a body is read as its subject', async () => {
  expect((await read(`${HEAD}\r\n`)).sections).toEqual([{ title: 'Hi', text: '' }]);
});

describe('hostile messages', () => {
  test('are read three levels deep; a deeper one is counted', async () => {
    let mail = `${HEAD}\r\nlevel 5`;
    for (const level of [4, 3, 2, 1]) {
      mail = `${HEAD}Content-Type: multipart/mixed; boundary=B${level}\r\n\r\n--B${level}\r\n\r\nlevel ${level}\r\n--B${level}\r\nContent-Type: message/rfc822\r\n\r\n${mail}\r\n--B${level}--`;
    }
    const found = JSON.stringify(await read(mail));
    expect(found).toContain('level 3');
    expect(found).not.toContain('level 4');
    expect(found).toContain('"skippedAttachments":{"too-deep":1}');
  });

  test('with parts nested a thousand deep are rejected', async () => {
    let mail = HEAD;
    for (let level = 0; level < 1000; level += 1) {
      mail += `Content-Type: multipart/mixed; boundary=b${level}\r\n\r\n--b${level}\r\n`;
    }
    expect(await faultOf(read(mail))).toBe('too-deep');
  });

  test('with a thousand attachments have a hundred read, and the others counted', async () => {
    const many = Array.from({ length: 1000 }, (_, at) => attached(`${at}.txt`, 'text/plain', `words ${at}`));
    const { sections, metadata } = await read(mixed(part('Content-Type: text/plain', 'Body'), ...many));
    expect(sections).toHaveLength(101);
    expect(metadata).toMatchObject({ attachments: 1000, skippedAttachments: { 'too-many-parts': 900 } });
  });

  test('in a hundred thousand parts are rejected before they are read', async () => {
    const parts = Array.from({ length: 100_000 }, () => part('', ''));
    expect(await faultOf(read(mixed(...parts)))).toBe('too-many-parts');
  });

  test('with as many dashes in the text are read normally', async () => {
    const dashes = '--B2\r\n'.repeat(20_000);
    const { sections } = await read(mixed(part('Content-Type: text/plain', dashes)));
    expect(sections[0]?.text?.match(/--B2/g)).toHaveLength(20_000);
  });

  test('with endless headers are rejected, and a missing boundary is not waited for', async () => {
    const endless = `${HEAD}${'X-Long: y\r\n'.repeat(200_000)}`;
    expect(await faultOf(read(endless))).toBe('too-many-parts');
    const cut = mixed(part('Content-Type: text/plain', 'Body')).replace('--B--', '');
    expect((await read(cut)).sections).toEqual([{ text: 'Body' }]);
  });

  test('with bombs, archives, locked or truncated files attached have those counted, and the others read', async () => {
    const bomb = makeZip([
      { name: '[Content_Types].xml', content: '<x/>' },
      { name: 'word/document.xml', content: Buffer.alloc(40 * 1024 * 1024) },
    ]);
    const zip = makeZip([{ name: 'a.txt', content: 'words' }]);
    const locked = makePdf({ pages: [['Secret']], password: 'secret' });
    const { sections, metadata } = await read(
      mixed(
        attached('bomb.docx', 'application/octet-stream', bomb),
        attached('files.zip', 'application/zip', zip),
        attached('locked.pdf', 'application/pdf', locked),
        attached('cut.pdf', 'application/pdf', makePdf({ pages: [['Cut']] }).subarray(0, 300)),
        attached('fine.txt', 'text/plain', 'Fine.'),
      ),
    );
    expect(sections).toEqual([{ title: 'fine.txt', text: 'Fine.', metadata: { contentType: 'text/plain' } }]);
    expect(metadata['skippedAttachments']).toEqual({
      'unpacks-too-large': 1,
      'application/zip': 1,
      'pdf-encrypted': 1,
      damaged: 1,
    });
  });

  test.each(['klingon-1', '__proto__', 'utf-7', 'x'.repeat(100_000), '"', '\u0000utf-8', '../utf-8'])(
    'in an unknown charset (%#) are still read',
    async (charset) => {
      const { sections } = await read(`${HEAD}Content-Type: text/plain; charset="${charset}"\r\n\r\nPlain words.`);
      expect(sections).toEqual([{ text: 'Plain words.' }]);
    },
  );

  test.each([
    ['a subject', `Subject: ${'x'.repeat(2_000_000)}`],
    ['addresses', `To: ${'a@example.org, '.repeat(100_000)}`],
    ['a folded line', `X-Folded: y${'\r\n y'.repeat(700_000)}`],
    ['parameters', `Content-Type: text/plain; ${"name*1*=utf-8''a; ".repeat(100_000)}`],
  ])('with a header of megabytes in %s have too many parts', async (_, header) => {
    expect(await faultOf(read(`${HEAD}${header}\r\n\r\nBody`))).toBe('too-many-parts');
  });

  test('with attachment names of paths or reversed text keep them as names only', async () => {
    const { sections } = await read(
      mixed(attached('../../etc/\u202epasswd', 'text/plain', 'x'), attached('y'.repeat(4000), 'text/plain', 'z')),
    );
    expect(sections.map(({ title }) => title)).toEqual(['../../etc/\u202epasswd', 'y'.repeat(300)]);
  });
});
