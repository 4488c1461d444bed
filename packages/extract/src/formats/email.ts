// E-mail (RFC 822): headers become metadata, the body a section, and every readable attachment sections under its file name.
// Unreadable attachments are counted by reason, and do not make the message unreadable.
import PostalMime, { type Address, type Attachment, type Email } from 'postal-mime';
import type { Extracted, FileInput, ReadInner, Section } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { FileError } from '../file-error.ts';
import { readHtmlText } from './html.ts';

const MAX_ATTACHMENTS = 100;
/** Over all levels. Even an empty part takes the parser 50 microseconds, and a file can have a million. */
const MAX_PARTS = 10_000;
const MAX_BOUNDARIES = 1000;
const MAX_BOUNDARY_CHARS = 200;
const MIME_LEVELS = 64;
const HEADER_BYTES = 1024 * 1024;
/** Maximum text of all attachments, in UTF-16 units: archives unpack to more than the size of the message. */
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
    // A message can consist of a subject only.
    sections: texts.length === 0 && title ? [{ title, text: '' }] : texts,
  };
}

/** Counts the boundary lines before the message is parsed. */
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
        .slice(at + 1, at + MAX_BOUNDARY_CHARS + 5)
        .split(/[\r\n]/, 1)[0]
        ?.trimEnd() ?? '';
    if (boundaries.has(line)) parts += 1;
    if (parts > MAX_PARTS) throw new FileError('too-many-parts');
  }
}

async function parse(bytes: Buffer): Promise<Email> {
  try {
    return await PostalMime.parse(bytes, {
      // Messages in messages are read as inner files, whose depth is limited.
      forceRfc822Attachments: true,
      maxNestingDepth: MIME_LEVELS,
      maxHeadersSize: HEADER_BYTES,
    });
  } catch (error) {
    // Within these limits the parser accepts any input.
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

/** The plain text of the body; if there is only HTML, its sections. */
function bodyOf({ text, html }: Email): Section[] {
  if (text !== undefined && text.trim() !== '') return [{ text: text.trim() }];
  return html === undefined ? [] : [...readHtmlText(html).sections];
}

interface Attached {
  readonly sections: Section[];
  /** Count by reason; by MIME type, or `unknown`, for unsupported files. */
  readonly skipped: Record<string, number>;
}

/** Recursion is safe: readInner limits the depth of sections. */
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

/** A section with the file name as title, and the title and metadata of the attachment. */
function sectionOf({ filename }: Attachment, { title, metadata, contentType, sections }: Extracted): Section {
  const [only] = sections;
  const isPlain = sections.length === 1 && only?.title === undefined && only?.sections === undefined;
  return {
    ...((filename ?? title) !== undefined && { title: filename ?? title ?? '' }),
    ...(isPlain && only?.text !== undefined ? { text: only.text } : { text: '', sections }),
    metadata: { ...metadata, ...(title !== undefined && filename && { attachmentTitle: title }), contentType },
  };
}
