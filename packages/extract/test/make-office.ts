// Word and PowerPoint files (Office Open XML) and OpenDocument texts made by code, from the XML of their bodies.
import { zipOf } from './make-zip.ts';

const XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>';
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006';
const WORD = 'http://schemas.openxmlformats.org/wordprocessingml/2006/main';
const MEDIA = 'application/vnd.openxmlformats-officedocument';

type Parts = Readonly<Record<string, string>>;

const CORE = `${XML}<cp:coreProperties xmlns:cp="${PACKAGE}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <dc:title>Annual report</dc:title><dc:creator>Ann Lee</dc:creator><dc:subject>Money</dc:subject>
  <cp:keywords>sales, costs</cp:keywords><dc:language>en-GB</dc:language>
  <dcterms:created xsi:type="dcterms:W3CDTF">2026-03-01T10:00:00Z</dcterms:created>
  <dcterms:modified xsi:type="dcterms:W3CDTF">2026-03-02T11:30:00Z</dcterms:modified></cp:coreProperties>`;

const relations = (rows: readonly (readonly [id: string, type: string, target: string])[]): string =>
  `${XML}<Relationships xmlns="${PACKAGE}/relationships">${rows
    .map(([id, type, target]) => `<Relationship Id="${id}" Type="${OFFICE}/${type}" Target="${target}"/>`)
    .join('')}</Relationships>`;

const contentTypes = (overrides: Parts): string =>
  `${XML}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="${PACKAGE.replace('http://schemas.', 'application/vnd.').replace('.org/package/2006', '-package')}.relationships+xml"/>
  <Default Extension="xml" ContentType="application/xml"/>${Object.entries(overrides)
    .map(([name, type]) => `<Override PartName="/${name}" ContentType="${MEDIA}.${type}+xml"/>`)
    .join('')}</Types>`;

export const wordParagraph = (text: string, style?: string): string =>
  `<w:p>${style === undefined ? '' : `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>`}<w:r><w:t xml:space="preserve">${text}</w:t></w:r></w:p>`;

const STYLES = `${XML}<w:styles xmlns:w="${WORD}">${[1, 2, 3]
  .map((at) => `<w:style w:type="paragraph" w:styleId="Heading${at}"><w:name w:val="heading ${at}"/></w:style>`)
  .join('')}</w:styles>`;

/** `doctype` goes in front of the document's root. */
export function makeDocx(body: string, more: Parts = {}, doctype = ''): Buffer {
  return zipOf({
    '[Content_Types].xml': contentTypes({ 'word/document.xml': 'wordprocessingml.document.main' }),
    '_rels/.rels': relations([['rId1', 'officeDocument', 'word/document.xml']]),
    'docProps/core.xml': CORE,
    'docProps/app.xml': `${XML}<Properties xmlns="${OFFICE.replace('relationships', 'extended-properties')}"><Pages>3</Pages></Properties>`,
    'word/styles.xml': STYLES,
    'word/document.xml': `${XML}${doctype}<w:document xmlns:w="${WORD}" xmlns:r="${OFFICE}" xmlns:v="urn:schemas-microsoft-com:vml"
      xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"><w:body>${body}</w:body></w:document>`,
    ...more,
  });
}

export const wordNotes = (text: string): string =>
  `${XML}<w:footnotes xmlns:w="${WORD}"><w:footnote w:id="2">${wordParagraph(text)}</w:footnote></w:footnotes>`;

const NAMES = `xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:r="${OFFICE}"`;

const shape = (id: number, kind: string, paragraphs: readonly string[]): string =>
  `<p:sp><p:nvSpPr><p:cNvPr id="${id}" name="s${id}"/><p:cNvSpPr/><p:nvPr>${kind === '' ? '' : `<p:ph type="${kind}"/>`}</p:nvPr></p:nvSpPr><p:spPr/>
   <p:txBody><a:bodyPr/>${paragraphs.map((text) => `<a:p><a:r><a:t>${text}</a:t></a:r></a:p>`).join('')}</p:txBody></p:sp>`;

const tree = (shapes: string): string => `<p:cSld><p:spTree>${shapes}</p:spTree></p:cSld>`;

interface Slide {
  readonly title?: string;
  readonly lines: readonly string[];
  readonly table?: readonly (readonly string[])[];
  readonly notes?: string;
}

const slideTable = (rows: readonly (readonly string[])[]): string =>
  `<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="9" name="t"/></p:nvGraphicFramePr><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/table"><a:tbl>${rows
    .map(
      (cells) =>
        `<a:tr>${cells.map((cell) => `<a:tc><a:txBody><a:p><a:r><a:t>${cell}</a:t></a:r></a:p></a:txBody></a:tc>`).join('')}</a:tr>`,
    )
    .join('')}</a:tbl></a:graphicData></a:graphic></p:graphicFrame>`;

export function makePptx(slides: readonly Slide[]): Buffer {
  const parts: Record<string, string> = {};
  for (const [at, { title, lines, table, notes }] of slides.entries()) {
    const number = at + 1;
    const shapes = `${title === undefined ? '' : shape(2, 'title', [title])}${shape(3, 'body', lines)}${table ? slideTable(table) : ''}`;
    parts[`ppt/slides/slide${number}.xml`] = `${XML}<p:sld ${NAMES}>${tree(shapes)}</p:sld>`;
    if (notes === undefined) continue;
    parts[`ppt/slides/_rels/slide${number}.xml.rels`] = relations([
      ['rId1', 'notesSlide', `../notesSlides/notesSlide${number}.xml`],
    ]);
    parts[`ppt/notesSlides/_rels/notesSlide${number}.xml.rels`] = relations([
      ['rId1', 'slide', `../slides/slide${number}.xml`],
    ]);
    parts[`ppt/notesSlides/notesSlide${number}.xml`] =
      `${XML}<p:notes ${NAMES}>${tree(shape(2, 'body', [notes]))}</p:notes>`;
  }
  const ids = slides.map((_, at) => `<p:sldId id="${256 + at}" r:id="rId${at + 1}"/>`).join('');
  return zipOf({
    '[Content_Types].xml': contentTypes({ 'ppt/presentation.xml': 'presentationml.presentation.main' }),
    '_rels/.rels': relations([['rId1', 'officeDocument', 'ppt/presentation.xml']]),
    'docProps/core.xml': CORE,
    'ppt/presentation.xml': `${XML}<p:presentation ${NAMES}><p:sldIdLst>${ids}</p:sldIdLst></p:presentation>`,
    'ppt/_rels/presentation.xml.rels': relations(
      slides.map((_, at) => [`rId${at + 1}`, 'slide', `slides/slide${at + 1}.xml`] as const),
    ),
    ...parts,
  });
}

const ODF = 'urn:oasis:names:tc:opendocument:xmlns';
const ODF_NAMES = ['office', 'text', 'table', 'meta', 'style', 'manifest']
  .map((name) => `xmlns:${name}="${ODF}:${name}:1.0"`)
  .join(' ');

export function makeOdt(body: string, more: Parts = {}, doctype = ''): Buffer {
  return zipOf({
    mimetype: 'application/vnd.oasis.opendocument.text',
    'META-INF/manifest.xml': `${XML}<manifest:manifest ${ODF_NAMES}><manifest:file-entry manifest:full-path="content.xml"/></manifest:manifest>`,
    'meta.xml': `${XML}<office:document-meta ${ODF_NAMES} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>Annual report</dc:title>
      <meta:initial-creator>Ann Lee</meta:initial-creator><dc:creator>Bo Ray</dc:creator><dc:language>en-GB</dc:language><dc:subject>Money</dc:subject><meta:keyword>sales</meta:keyword><meta:keyword>costs</meta:keyword>
      <meta:creation-date>2026-03-01T10:00:00Z</meta:creation-date><dc:date>2026-03-02T11:30:00Z</dc:date><meta:document-statistic meta:page-count="3"/></office:meta></office:document-meta>`,
    'content.xml': `${XML}${doctype}<office:document-content ${ODF_NAMES}><office:body><office:text>${body}</office:text></office:body></office:document-content>`,
    ...more,
  });
}
