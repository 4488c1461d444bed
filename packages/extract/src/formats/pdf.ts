// PDF: one section per page, with text in drawing order. Runs PDF.js in this thread, without images, system fonts, scripts and
// network access.
import { isoOf } from '../office-metadata.ts';
import type { Extracted, FileInput, Section } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { openPdf, type PdfDocument } from '../pdfjs.ts';
import { FileError } from '../file-error.ts';

const MAX_PAGES = 10_000;
/** Far more than a document may have. Stops pages that draw themselves repeatedly. */
const MAX_CHARACTERS = 64 * 1024 * 1024;
/** Readers search the last kilobyte for the end of the file; some files have a signature after it. */
const END_WITHIN = 4096;

/** @throws FileError `pdf-encrypted`, `damaged`, `too-many-parts`, `text-too-large` */
export async function readPdf({ bytes }: FileInput): Promise<Extracted> {
  // A truncated file can be read in part, and the missing part would go unnoticed.
  if (!bytes.subarray(-END_WITHIN).includes('%%EOF')) throw new FileError('damaged');
  const pdf = await openPdf(bytes);
  try {
    if (pdf.numPages > MAX_PAGES) throw new FileError('too-many-parts');
    const about = await aboutOf(pdf);
    return { contentType: MIME.pdf, ...about, sections: await pagesOf(pdf) };
  } finally {
    await pdf.destroy();
  }
}

async function pagesOf(pdf: PdfDocument): Promise<Section[]> {
  const sections: Section[] = [];
  let characters = 0;
  for (let number = 1; number <= pdf.numPages; number += 1) {
    const text = await pdf.textOf(number, MAX_CHARACTERS - characters);
    characters += text.length;
    if (text.trim() !== '') sections.push({ title: `Page ${number}`, text: text.trim() });
  }
  return sections;
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;

async function aboutOf(pdf: PdfDocument): Promise<Pick<Extracted, 'title' | 'metadata'>> {
  const { info, xmp } = await pdf.facts();
  const word = (name: string, other: string): string | undefined => textOf(info[name]) ?? textOf(xmp(other));
  const title = word('Title', 'dc:title');
  const metadata = {
    author: word('Author', 'dc:creator'),
    subject: word('Subject', 'dc:description'),
    keywords: word('Keywords', 'pdf:keywords'),
    lang: textOf(info['Language']),
    created: dateOf(info['CreationDate']) ?? isoOf(textOf(xmp('xmp:createdate'))),
    modified: dateOf(info['ModDate']) ?? isoOf(textOf(xmp('xmp:modifydate'))),
    pages: pdf.numPages,
  };
  const known = Object.entries(metadata).filter(([, value]) => value !== undefined);
  return { ...(title !== undefined && { title }), metadata: Object.fromEntries(known) };
}

const DATE = /^(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:Z|([+-])(\d\d)'?(\d\d)?)?/;

/** Format: `D:20260301120000+02'00'`; UTC without a time zone. */
function dateOf(value: unknown): string | undefined {
  const found = DATE.exec(textOf(value) ?? '');
  if (!found) return undefined;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = found
    .slice(1, 7)
    .map((digits) => (digits === undefined ? undefined : Number(digits)));
  const offsetMs = (Number(found[8] ?? 0) * 60 + Number(found[9] ?? 0)) * 60_000;
  const at = Date.UTC(year, month - 1, day, hour, minute, second) - (found[7] === '-' ? -offsetMs : offsetMs);
  return isoOf(new Date(at));
}
