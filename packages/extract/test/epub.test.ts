// Electronic books, compared with their visible text; and encrypted, damaged or hostile ones.
import { expect, test } from 'vitest';
import { readEpub } from '../src/formats/epub.ts';
import { faultOf } from './faults.ts';
import { makeEpub } from './make-epub.ts';

const read = (bytes: Buffer) => readEpub({ bytes, filename: 'a.epub' });

const lock = (algorithm: string, file: string): Record<string, string> => ({
  'META-INF/encryption.xml': `<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="${algorithm}"/><CipherData><CipherReference URI="${file}"/></CipherData></EncryptedData></encryption>`,
});

test('a book becomes nested sections in reading order, with its metadata', async () => {
  const bytes = makeEpub([
    '<p>For Bo.</p><h1>The start</h1><p>It was <em>late</em> &amp; dark.</p><ul><li>One</li><li>Two</li></ul>',
    '<h1>The middle</h1><h2>A storm</h2><table><tr><td>Day</td><td>Wind</td></tr><tr><td>1</td><td>9</td></tr></table>',
    '<p>No heading here.</p><script>document.write("never")</script>',
  ]);
  expect(await read(bytes)).toEqual({
    contentType: 'application/epub+zip',
    title: 'The island',
    metadata: {
      author: 'Ann Lee',
      subject: 'Sea',
      description: 'A tale.',
      lang: 'en-GB',
      created: '2026-03-01T10:00:00.000Z',
    },
    sections: [
      { text: 'For Bo.' },
      { title: 'The start', text: 'It was late & dark.\nOne\nTwo' },
      {
        title: 'The middle',
        text: '',
        sections: [{ title: 'A storm', text: 'Day\tWind\n1\t9\nNo heading here.' }],
      },
    ],
  });
});

test('a book with one copy-protected chapter is encrypted', async () => {
  const aes = lock('http://www.w3.org/2001/04/xmlenc#aes256-cbc', 'OEBPS/text/c2.xhtml');
  expect(await faultOf(read(makeEpub(['<p>a</p>', '<p>b</p>'], aes)))).toBe('archive-encrypted');
  const one = lock('http://www.w3.org/2001/04/xmlenc#aes256-cbc', 'OEBPS/text/c1.xhtml');
  expect(await faultOf(read(makeEpub(['<p>a</p>'], one)))).toBe('archive-encrypted');
});

test('a book with only its fonts obfuscated is read', async () => {
  const fonts = lock('http://www.idpf.org/2008/embedding', 'OEBPS/fonts/a.otf');
  expect((await read(makeEpub(['<p>a</p>'], fonts))).sections).toEqual([{ text: 'a' }]);
});

test('a truncated book is damaged', async () => {
  const whole = makeEpub(['<p>Some words</p>']);
  for (const part of [0.1, 0.5, 0.9, 0.999]) {
    expect(await faultOf(read(whole.subarray(0, Math.floor(whole.length * part))))).toBe('damaged');
  }
});

test('a missing chapter makes the book damaged', async () => {
  const spine =
    '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest><item id="a" href="text/c1.xhtml" media-type="application/xhtml+xml"/><item id="b" href="gone.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>';
  expect(await faultOf(read(makeEpub(['<p>a</p>'], { 'OEBPS/content.opf': spine })))).toBe('damaged');
});

test('elements nested a hundred thousand deep are rejected as too deep', async () => {
  const deep = `${'<div>'.repeat(100_000)}x${'</div>'.repeat(100_000)}`;
  expect(await faultOf(read(makeEpub([deep])))).toBe('too-deep');
});

test('a list of chapters with multiplying entities is not expanded', async () => {
  const laughs = `<!DOCTYPE package [<!ENTITY a0 "haha">${Array.from({ length: 12 }, (_, at) => `<!ENTITY a${at + 1} "${`&a${at};`.repeat(10)}">`).join('')}]><package><metadata><title>&a12;</title></metadata></package>`;
  const found = await read(makeEpub(['<p>a</p>'], { 'OEBPS/content.opf': laughs })).catch(() => undefined);
  expect(JSON.stringify([found])).not.toContain('haha');
});
