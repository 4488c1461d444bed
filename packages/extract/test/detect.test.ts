// The content decides the type of a file, then its name, then the declared type.
import CFB from 'cfb';
import { describe, expect, test } from 'vitest';
import { detect } from '../src/detect.ts';
import { faultOf } from './faults.ts';
import { makeZip } from './make-zip.ts';

const file = (content: string | Buffer, filename = 'file', contentType?: string) =>
  detect({ bytes: Buffer.isBuffer(content) ? content : Buffer.from(content), filename, contentType });

function compound(...names: string[]): Buffer {
  const container = CFB.utils.cfb_new();
  for (const name of names) CFB.utils.cfb_add(container, name, Buffer.from('x'.repeat(5000)));
  return CFB.write(container, { type: 'buffer' }) as Buffer;
}

const MAIL = 'Received: from a by b\r\nFrom: a@example.org\r\nSubject: Hi\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n';
const PDF = '%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\nstartxref\n0\n%%EOF\n';

describe('file type detection', () => {
  test.each([
    ['a PDF with the name of a text', PDF, 'a.txt', 'application/pdf'],
    ['a PDF with junk in front', `\n\n\n${PDF}`, 'a.pdf', 'application/pdf'],
    ['a text about PDF', 'A PDF begins with\n%PDF-1.4 as a mark.\n', 'a.txt', 'text/plain'],
    ['a text with the name of a PDF', 'Just some words.', 'a.pdf', 'text/plain'],
    ['a text with the name of a Word file', 'Just some words.', 'a.docx', 'text/plain'],
    ['RTF', '{\\rtf1\\ansi Hello}', 'a.doc', 'application/rtf'],
    ['HTML with a doctype', '<!DOCTYPE html><p>Hi', 'a.txt', 'text/html'],
    ['HTML behind a comment', '<!-- by hand -->\n<html><p>Hi', 'a.md', 'text/html'],
    ['XHTML', '<?xml version="1.0"?><!DOCTYPE html><html/>', 'a.xml', 'text/html'],
    ['XML', '<?xml version="1.0"?><note>Hi</note>', 'a.txt', 'application/xml'],
    ['XML without a declaration', '<note>Hi</note>', 'a', 'application/xml'],
    ['XML with a doctype', '<!DOCTYPE note [<!ENTITY a "b">]><note>&a;</note>', 'a.txt', 'application/xml'],
    ['an e-mail', MAIL, 'a.txt', 'message/rfc822'],
    ['a text that begins as an image does', 'BM is how a bitmap begins, and MZ how a program does.', 'a', 'text/plain'],
    ['a text with a few headers', 'From: me\nTo: you\n\nHello', 'a.txt', 'text/plain'],
    ['several e-mails in one', `From me@x Thu Jan  1 00:00:00 2026\n${MAIL}`, 'a', 'application/mbox'],
    ['Markdown without a name', '# A\n\nSee [b](https://example.org).\n\n## C\n', 'a', 'text/markdown'],
    ['a script with comments', '#!/bin/sh\n# A\n# B\n', 'a', 'text/plain'],
    ['an image', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), 'a.txt', 'image/png'],
    ['Word', compound('/WordDocument', '/1Table'), 'a.txt', 'application/msword'],
    ['PowerPoint', compound('/PowerPoint Document'), 'a', 'application/vnd.ms-powerpoint'],
    ['Excel', compound('/Workbook'), 'a.doc', 'application/vnd.ms-excel'],
    ['Word with Excel inside', compound('/WordDocument', '/ObjectPool/_1/Workbook'), 'a', 'application/msword'],
    ['Outlook', compound('/__properties_version1.0'), 'a', 'application/vnd.ms-outlook'],
  ])('recognizes %s by its content', async (_, content, name, mime) => {
    expect(await file(content, name)).toBe(mime);
  });
});

test.each([
  ['HTML', '<!DOCTYPE html><meta charset=koi8-r><p>', '', 'text/html'],
  ['XML', '<?xml version="1.0" encoding="koi8-r"?><p>', '</p>', 'application/xml'],
  ['an e-mail', MAIL, '', 'message/rfc822'],
])('%s with an encoding declared inside is detected by its beginning', async (_, before, after, mime) => {
  const russian = Buffer.from('f0d2c9d7c5d4'.repeat(100), 'hex');
  expect(await file(Buffer.concat([Buffer.from(before), russian, Buffer.from(after)]))).toBe(mime);
});

describe('name and declared type', () => {
  test.each([
    ['# Title', 'a.md', undefined, 'text/markdown'],
    ['# Title', 'a.MD', 'text/plain', 'text/markdown'],
    ['# Title', 'a', 'text/markdown; charset=utf-8', 'text/markdown'],
    ['# Title', 'a.txt', undefined, 'text/plain'],
    ['<p align="center">Logo</p>\n\n# Title', 'README.md', undefined, 'text/markdown'],
    ['<p>One</p>', 'a', undefined, 'text/html'],
    ['Hello <b>you</b>', 'a.html', undefined, 'text/html'],
    ['No tags at all', 'a.html', undefined, 'text/plain'],
    ['<open><and>not closed', 'a.xml', undefined, 'application/xml'],
    ['Subject: Hi\n\nHello', 'a.eml', undefined, 'message/rfc822'],
    ['Subject: Hi\n\nHello', 'a.txt', undefined, 'text/plain'],
  ])('give %j, called %s and declared %s, the type %s', async (content, name, declared, mime) => {
    expect(await file(content, name, declared)).toBe(mime);
  });
});

describe('errors', () => {
  test('include an empty file', async () => {
    expect(await faultOf(file('', 'a.pdf'))).toBe('empty');
  });

  test('include an encrypted Office file', async () => {
    const bytes = compound('/EncryptedPackage', '/EncryptionInfo');
    expect(await faultOf(file(bytes, 'a.docx'))).toBe('office-encrypted');
  });

  test('distinguish unknown bytes by name: an unsupported type, or an unknown encoding of a text', async () => {
    const bytes = Buffer.from(Array.from({ length: 999 }, (_, at) => (at * at * 7 + 3) % 256));
    expect(await faultOf(file(bytes, 'a.bin'))).toBe('unsupported');
    expect(await faultOf(file(bytes, 'a.txt'))).toBe('encoding');
  });

  test('report a compound file as damaged at once if it is truncated or its tables are circular', async () => {
    const whole = compound('/WordDocument');
    expect(await faultOf(file(whole.subarray(0, 600)))).toBe('damaged');
    const circle = Buffer.from(whole);
    // Every chain goes back to the sector that it comes from.
    const table = (circle.readUInt32LE(76) + 1) * 512;
    for (let at = 0; at < 128; at += 1) circle.writeUInt32LE(at, table + at * 4);
    expect(await file(circle)).toBe('application/msword');
  });
});

test('an archive of mostly plain text does not count as text', async () => {
  const bytes = makeZip([{ name: 'a.txt', content: 'Only letters. '.repeat(1000), isStored: true }]);
  expect(await file(bytes, 'a.txt')).toBe('application/zip');
});
