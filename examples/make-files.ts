// Makes examples/files/ again: the project's own README and docs as the files that people upload.
// Run: node examples/make-files.ts; needs soffice (Debian: libreoffice-writer-nogui and libreoffice-impress-nogui).
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Marked, marked, type Token } from 'marked';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILES = join(ROOT, 'examples', 'files');
const AUTHOR = 'The sealdex developers';

/** What each page becomes: the page of docs/, and what LibreOffice calls the format. */
const WRITTEN = [
  { page: 'parking', to: 'pdf' },
  { page: 'dead-letters', to: 'docx' },
  { page: 'deleting', to: 'odt' },
  { page: 'fair-share', to: 'doc' },
  { page: 'decrypt', to: 'rtf' },
  { page: 'security', to: 'epub' },
] as const;

const SLIDES = [
  { page: 'operations', to: 'pptx' },
  { page: 'parking', to: 'ppt' },
] as const;

const pageOf = (name: string): string => readFileSync(join(ROOT, 'docs', `${name}.md`), 'utf8');

/** Text that looks the same wherever it is: links are of no use in a copy. */
const plain: Marked = new Marked({ renderer: { link: ({ tokens }): string => plain.parser(tokens) } });

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const titleOf = (markdown: string): string => /^# (.*)$/m.exec(markdown)?.[1] ?? 'Untitled';

function htmlOf(markdown: string): string {
  const meta = `<meta charset="utf-8"><meta name="author" content="${AUTHOR}"><title>${escaped(titleOf(markdown))}</title>`;
  return `<!doctype html><html lang="en"><head>${meta}</head><body>${plain.parse(markdown, { async: false })}</body></html>`;
}

/** A slide per heading: its title, and the first lines below it. */
function slidesOf(markdown: string): string {
  const slides: { title: string; lines: string[] }[] = [];
  for (const token of marked.lexer(markdown)) {
    if (token.type === 'heading') slides.push({ title: textOf(token), lines: [] });
    else if (token.type === 'paragraph') slides.at(-1)?.lines.push(textOf(token));
    else if (token.type === 'list') slides.at(-1)?.lines.push(...(token['items'] as Token[]).map(textOf));
  }
  const box = (kind: string, lines: readonly string[], place: string): string =>
    `<draw:frame presentation:class="${kind}" ${place}><draw:text-box>${lines.map((line) => `<text:p>${escaped(line)}</text:p>`).join('')}</draw:text-box></draw:frame>`;
  const pages = slides.map(({ title, lines }, index) => {
    const head = box('title', [title], 'svg:x="1cm" svg:y="1cm" svg:width="24cm" svg:height="2cm"');
    const body = box('outline', lines.slice(0, 6), 'svg:x="1cm" svg:y="4cm" svg:width="24cm" svg:height="12cm"');
    return `<draw:page draw:name="page${index + 1}" draw:master-page-name="Plain">${head}${body}</draw:page>`;
  });
  const spaces = ['office', 'style', 'text', 'presentation', 'meta', 'drawing']
    .map((name) => `xmlns:${name === 'drawing' ? 'draw' : name}="urn:oasis:names:tc:opendocument:xmlns:${name}:1.0"`)
    .join(' ');
  const more =
    'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"';
  return `<?xml version="1.0" encoding="UTF-8"?>
<office:document ${spaces} ${more} office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.presentation">
<office:meta><dc:title>${escaped(titleOf(markdown))}</dc:title><meta:initial-creator>${AUTHOR}</meta:initial-creator><dc:creator>${AUTHOR}</dc:creator></office:meta>
<office:automatic-styles><style:page-layout style:name="Layout"/></office:automatic-styles>
<office:master-styles><style:master-page style:name="Plain" style:page-layout-name="Layout"/></office:master-styles>
<office:body><office:presentation>${pages.join('\n')}</office:presentation></office:body></office:document>`;
}

const textOf = (token: Token): string =>
  plain
    .parseInline('text' in token ? String(token.text) : token.raw, { async: false })
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replaceAll(/\s+/g, ' ')
    .trim();

/** An e-mail with the beginning of the README, and a page of the docs as an attachment. */
function email(): string {
  const [opening = ''] = readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n## ');
  const base64 = (text: string): string =>
    (
      Buffer.from(text)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    ).join('\r\n');
  const part = (headers: readonly string[], text: string): string =>
    [...headers, 'Content-Transfer-Encoding: base64', '', base64(text)].join('\r\n');
  return [
    'From: Ada Example <ada@example.com>',
    'To: Ben Example <ben@example.com>',
    'Subject: =?UTF-8?Q?What_sealdex_is_=E2=80=93_and_what_a_gate_is?=',
    'Date: Mon, 02 Nov 2026 09:30:00 +0100',
    'Message-ID: <what-sealdex-is@example.com>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="part"',
    '',
    '--part',
    part(['Content-Type: text/plain; charset=utf-8'], opening),
    '--part',
    part(
      ['Content-Type: text/markdown; charset=utf-8', 'Content-Disposition: attachment; filename="fair-share.md"'],
      pageOf('fair-share'),
    ),
    '--part--',
    '',
  ].join('\r\n');
}

const scratch = mkdtempSync(join(tmpdir(), 'sealdex-examples-'));
const convert = (from: string, to: string, name: string): void => {
  const profile = `-env:UserInstallation=file://${join(scratch, 'profile')}`;
  const filter = from.endsWith('.html') ? ['--infilter=HTML (StarWriter)'] : [];
  execFileSync('soffice', [profile, '--headless', ...filter, '--convert-to', to, '--outdir', scratch, from], {
    stdio: 'ignore',
  });
  copyFileSync(join(scratch, `${basename(from).replace(/\.\w+$/, '')}.${to}`), join(FILES, `${name}.${to}`));
};

try {
  mkdirSync(FILES, { recursive: true });
  for (const { page, to } of WRITTEN) {
    const html = join(scratch, `${page}.html`);
    writeFileSync(html, htmlOf(pageOf(page)));
    // LibreOffice writes a page of HTML as a document of its own kind only by way of ODT.
    convert(html, 'odt', page);
    if (to === 'odt') continue;
    convert(join(scratch, `${page}.odt`), to, page);
    rmSync(join(FILES, `${page}.odt`));
  }
  for (const { page, to } of SLIDES) {
    const slides = join(scratch, `${page}-slides.fodp`);
    writeFileSync(slides, slidesOf(pageOf(page)));
    convert(slides, to, `${page}-slides`);
  }
  writeFileSync(join(FILES, 'what-sealdex-is.eml'), email());
  console.log('made again: examples/files');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
