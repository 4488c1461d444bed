// Supported formats, each with its reader.
import type { ReadFormat } from './extracted.ts';
import { readDoc } from './formats/doc.ts';
import { readEmail } from './formats/email.ts';
import { readDocx } from './formats/docx.ts';
import { readEpub } from './formats/epub.ts';
import { readHtml } from './formats/html.ts';
import { readMarkdown } from './formats/markdown.ts';
import { readPpt } from './formats/ppt.ts';
import { readOdt } from './formats/odt.ts';
import { readPdf } from './formats/pdf.ts';
import { readPptx } from './formats/pptx.ts';
import { readRtf } from './formats/rtf.ts';
import { readText } from './formats/text.ts';
import { readXml } from './formats/xml.ts';
import { MIME } from './mime.ts';

export const FORMATS: ReadonlyMap<string, ReadFormat> = new Map<string, ReadFormat>([
  [MIME.text, readText],
  [MIME.markdown, readMarkdown],
  [MIME.html, readHtml],
  [MIME.xml, readXml],
  [MIME.email, readEmail],
  [MIME.doc, readDoc],
  [MIME.ppt, readPpt],
  [MIME.docx, readDocx],
  [MIME.pptx, readPptx],
  [MIME.odt, readOdt],
  [MIME.rtf, readRtf],
  [MIME.epub, readEpub],
  [MIME.pdf, readPdf],
]);

/** MIME types of the supported formats. */
export const CONTENT_TYPES: readonly string[] = Object.freeze([...FORMATS.keys()]);
