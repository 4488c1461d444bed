// E-mail (RFC 822): headers become metadata, the body a section, and every attachment that can be read further ones under its file
// name. What cannot be read is counted by reason; it does not spoil the message.
import PostalMime, { type Address, type Attachment, type Email } from 'postal-mime';
import type { Extracted, FileInput, ReadInner, Section } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { FileError } from '../file-error.ts';
import { readHtmlText } from './html.ts';

const MAX_ATTACHMENTS = 100;
/** Of all levels. A part without a byte in it costs the parser 50 us, and a file can hold a million. */
const MAX_PARTS = 10_000;
const MAX_BOUNDARIES = 1000;
const LONGEST_BOUNDARY = 200;
const MIME_LEVELS = 64;
const HEADER_BYTES = 1024 * 1024;
/** Of all texts of attachments, in UTF-16 units: archives unpack to more than the message has. */
const ATTACHMENTS_CHARS = 32 * 1024 * 1024;

/** @throws FileError `too-deep`, `too-many-parts` */
export async function readEmail({ bytes }: FileInput, readInner: ReadInner): Promise<Extracted> {
  countParts(bytes.toString('latin1'));
  const mail = await parse(bytes);
  const { sections, skipped } = await readAttachments(mail.attachments, readInner);
  const title = mail.subject?.trim();
  const texts = [...bodyOf(mail), ...sections];
  return {
    contentType: MIME.email,
    ...(title && { title }),
    metadata: {
      ...headersOf(mail),
      ...(mail.attachments.length > 0 && { attachments: mail.attachments.length }),
      ...(Object.keys(skipped).length > 0 && { skippedAttachments: skipped }),
    },
    // A message can be all in its subject.
    sections: texts.length === 0 && title ? [{ title, text: '' }] : texts,
  };
}

/** Counts the lines that part the message, before anybody reads it. */
function countParts(mail: string): void {
  const boundaries = new Set<string>();
  for (const [, quoted, bare] of mail.matchAll(/\bboundary\s{0,9}=\s{0,9}(?:"([^"\r\n]{1,200})"|([^\s";]{1,200}))/gi)) {
    boundaries.add(`--${quoted ?? bare}`);
    if (boundaries.size > MAX_BOUNDARIES) throw new FileError('too-many-parts');
  }
  let parts = 0;
  for (let at = mail.indexOf('\n--'); at !== -1; at = mail.indexOf('\n--', at + 3)) {
    const line =
      mail
        .slice(at + 1, at + LONGEST_BOUNDARY + 5)
        .split(/[\r\n]/, 1)[0]
        ?.trimEnd() ?? '';
    if (boundaries.has(line)) parts += 1;
    if (parts > MAX_PARTS) throw new FileError('too-many-parts');
  }
}

async function parse(bytes: Buffer): Promise<Email> {
  try {
    return await PostalMime.parse(bytes, {
      // Messages in messages are read as files in files, where their depth is held.
      forceRfc822Attachments: true,
      maxNestingDepth: MIME_LEVELS,
      maxHeadersSize: HEADER_BYTES,
    });
  } catch (error) {
    // It reads whatever it is given within these bounds.
    const isHeader = error instanceof Error && error.message.startsWith('Maximum header size');
    throw new FileError(isHeader ? 'too-many-parts' : 'too-deep');
  }
}

/** `Ann Lee <ann@example.org>`; a group as its members. */
const namesOf = (addresses: readonly Address[]): string[] =>
  addresses
    .flatMap((address) => address.group ?? [address])
    .map(({ name, address }) => (name === '' || name === address ? address : `${name} <${address}>`));

function headersOf({ from, to, cc, date, messageId }: Email): Record<string, unknown> {
  const [sender] = from ? namesOf([from]) : [];
  return {
    ...(sender !== undefined && { from: sender }),
    ...(to && { to: namesOf(to) }),
    ...(cc && { cc: namesOf(cc) }),
    ...(date !== undefined && { date }),
    ...(messageId !== undefined && { messageId }),
  };
}

/** The text that the sender wrote; of HTML alone, its sections. */
function bodyOf({ text, html }: Email): Section[] {
  if (text !== undefined && text.trim() !== '') return [{ text: text.trim() }];
  return html === undefined ? [] : [...readHtmlText(html).sections];
}

interface Attached {
  readonly sections: Section[];
  /** Count by reason; by MIME type, or `unknown`, for unsupported files. */
  readonly skipped: Record<string, number>;
}

/** Recursion is safe: what came from readInner is no deeper than a document may be. */
const charsOf = (sections: readonly Section[]): number =>
  sections.reduce((sum, { text, sections }) => sum + (text?.length ?? 0) + charsOf(sections ?? []), 0);

async function readAttachments(attachments: readonly Attachment[], readInner: ReadInner): Promise<Attached> {
  const sections: Section[] = [];
  const skipped: Record<string, number> = {};
  let chars = 0;
  const skip = (reason: string): void => {
    skipped[reason] = (skipped[reason] ?? 0) + 1;
  };
  for (const [at, attachment] of attachments.entries()) {
    if (at >= MAX_ATTACHMENTS) {
      skip('too-many-parts');
      continue;
    }
    try {
      const found = await readInner(fileOf(attachment));
      chars += charsOf(found.sections);
      if (chars > ATTACHMENTS_CHARS) throw new FileError('text-too-large');
      sections.push(sectionOf(attachment, found));
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      skip(error.reason === 'unsupported' ? (error.found ?? 'unknown') : error.reason);
    }
  }
  return { sections, skipped };
}

const bufferOf = (content: ArrayBuffer | Uint8Array): Buffer =>
  content instanceof ArrayBuffer
    ? Buffer.from(content)
    : Buffer.from(content.buffer, content.byteOffset, content.byteLength);

function fileOf({ filename, mimeType, content }: Attachment): FileInput {
  const bytes = typeof content === 'string' ? Buffer.from(content) : bufferOf(content);
  return { bytes, filename: filename ?? '', contentType: mimeType };
}

/** Titled by its file name; its own title and metadata stay with it. */
function sectionOf({ filename }: Attachment, { title, metadata, contentType, sections }: Extracted): Section {
  const [only] = sections;
  const isPlain = sections.length === 1 && only?.title === undefined && only?.sections === undefined;
  return {
    ...((filename ?? title) !== undefined && { title: filename ?? title ?? '' }),
    ...(isPlain && only?.text !== undefined ? { text: only.text } : { text: '', sections }),
    metadata: { ...metadata, ...(title !== undefined && filename && { attachmentTitle: title }), contentType },
  };
}
