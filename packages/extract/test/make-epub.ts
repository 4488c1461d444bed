// Electronic books made by code, from the XHTML of their chapters.
import { zipOf } from './make-zip.ts';

const XML = '<?xml version="1.0" encoding="UTF-8"?>';

/** Chapters are in the archive in the opposite order of reading. */
export function makeEpub(chapters: readonly string[], more: Readonly<Record<string, string>> = {}): Buffer {
  const names = chapters.map((_, at) => `c${at + 1}`);
  const items = names
    .toReversed()
    .map((name) => `<item id="${name}" href="text/${name}.xhtml" media-type="application/xhtml+xml"/>`);
  const texts = chapters.map(
    (body, at) =>
      [
        `OEBPS/text/c${at + 1}.xhtml`,
        `${XML}<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Chapter file</title></head><body>${body}</body></html>`,
      ] as const,
  );
  return zipOf({
    mimetype: 'application/epub+zip',
    'META-INF/container.xml': `${XML}<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
      <rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`,
    'OEBPS/content.opf': `${XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
      <metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The island</dc:title><dc:creator>Ann Lee</dc:creator><dc:language>en-GB</dc:language>
      <dc:identifier id="id">x</dc:identifier><dc:date>2026-03-01T10:00:00Z</dc:date><dc:subject>Sea</dc:subject><dc:description>A tale.</dc:description></metadata>
      <manifest>${items.join('')}</manifest><spine>${names.map((name) => `<itemref idref="${name}"/>`).join('')}</spine></package>`,
    ...Object.fromEntries(texts.toReversed()),
    ...more,
  });
}
