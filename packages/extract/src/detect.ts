// Format detection: by content, then by file name, then by the declared type. Clear content is never overridden.
// Reads only the beginning and the directory of a file.
import { fileTypeFromBuffer } from 'file-type';
import { isCompound, openCompound } from './compound.ts';
import { charsetOf, decodeText } from './encoding.ts';
import type { FileInput } from './extracted.ts';
import { MIME } from './mime.ts';
import { FileError } from './file-error.ts';
import { textFormatOf } from './text-format.ts';

/** Maximum offset of the PDF signature, as PDF readers accept it. */
const PDF_MARK_BYTES = 1024;
const SNIFFED_CHARACTERS = 64 * 1024;
const TAIL = 1024;

/** Formats that can declare their encoding in the content, in ASCII. */
const DECLARES_ENCODING: ReadonlySet<string> = new Set([MIME.html, MIME.xml, MIME.email]);

/** Formats that consist of text, but have a signature in the first line. */
const MARKED_TEXT: ReadonlySet<string> = new Set([MIME.pdf, MIME.rtf, 'application/postscript', 'application/eps']);

/** Zip archives that do not name their type have the type of their file name; a wrong name makes them `damaged`. */
const ZIP_NAMES: ReadonlyMap<string, string> = new Map([
  ['docx', MIME.docx],
  ['pptx', MIME.pptx],
  ['odt', MIME.odt],
  ['epub', MIME.epub],
]);

const isBinary = (mime: string): boolean => !mime.startsWith('text/') && !/[/+]xml$/.test(mime);
/** A signature of two or three letters can also be the beginning of a text. */
const isWeak = (mime: string): boolean => !MARKED_TEXT.has(mime);

/** The part of a name after its last dot, in lower case; empty if there is none. */
const extensionOf = (filename: string): string => /\.([a-z0-9]{1,10})$/i.exec(filename)?.[1]?.toLowerCase() ?? '';

/**
 * @returns the MIME type, which may be an unsupported one
 * @throws FileError `empty`, `office-encrypted`, `damaged`, `encoding`, or `unsupported` for a file without any signature
 */
export async function detect(file: FileInput): Promise<string> {
  const { bytes } = file;
  if (bytes.length === 0) throw new FileError('empty');
  if (isCompound(bytes)) return detectCompound(bytes);
  const found = await detectMark(bytes);
  if (found !== undefined && (MARKED_TEXT.has(found) || isBinary(found))) {
    const named = found === 'application/zip' ? ZIP_NAMES.get(extensionOf(file.filename)) : undefined;
    if (!isWeak(found) || !beginsAsText(bytes)) return named ?? found;
  }
  if (hasLatePdfMark(bytes)) return MIME.pdf;
  const hint = hintOf(file);
  const text = decodeText(bytes, charsetOf(file.contentType));
  if (text !== undefined) return textFormatOf(text.slice(0, SNIFFED_CHARACTERS), text.slice(-TAIL), hint);
  const [head, tail] = [bytes.subarray(0, SNIFFED_CHARACTERS), bytes.subarray(-TAIL)];
  const format = textFormatOf(head.toString('latin1'), tail.toString('latin1'), hint);
  if (DECLARES_ENCODING.has(format)) return format;
  if (hint !== undefined) throw new FileError('encoding');
  throw new FileError('unsupported');
}

/** No text begins with these characters. Needed for archives in which nearly all bytes are letters. */
// oxlint-disable-next-line no-control-regex
const NO_BEGINNING = /[\0-\x07\x0e-\x1a\x1c-\x1f]/;
const BEGINNING = 64;

function beginsAsText(bytes: Buffer): boolean {
  const text = decodeText(bytes);
  return text !== undefined && !NO_BEGINNING.test(text.slice(0, BEGINNING));
}

async function detectMark(bytes: Buffer): Promise<string | undefined> {
  try {
    const found = await fileTypeFromBuffer(bytes);
    return found?.mime.split(';', 1)[0]?.toLowerCase();
  } catch {
    // The file is truncated.
    return undefined;
  }
}

function hasLatePdfMark(bytes: Buffer): boolean {
  const head = bytes.subarray(0, PDF_MARK_BYTES).toString('latin1');
  return /(?:^|[\r\n\0])%PDF-\d/.test(head) && bytes.subarray(-2048).includes('startxref');
}

function detectCompound(bytes: Buffer): string {
  const { names, classId } = openCompound(bytes);
  if (names.has('EncryptedPackage')) throw new FileError('office-encrypted');
  if (names.has('WordDocument')) return MIME.doc;
  if (names.has('PowerPoint Document')) return MIME.ppt;
  if (names.has('Workbook') || names.has('Book')) return 'application/vnd.ms-excel';
  if (names.has('__properties_version1.0')) return 'application/vnd.ms-outlook';
  if (names.has('VisioDocument')) return 'application/vnd.visio';
  if (classId.startsWith('84100c00')) return 'application/x-msi';
  return 'application/x-cfb';
}

const TEXT_NAMES: ReadonlyMap<string, string> = new Map([
  ...['txt', 'text', 'log', 'csv', 'tsv', 'json', 'yaml', 'yml', 'ini', 'tex'].map(
    (name) => [name, MIME.text] as const,
  ),
  ...['md', 'markdown', 'mdown', 'mkd'].map((name) => [name, MIME.markdown] as const),
  ...['html', 'htm', 'xhtml'].map((name) => [name, MIME.html] as const),
  ...['xml', 'svg', 'rss', 'atom'].map((name) => [name, MIME.xml] as const),
  ...['eml', 'mime', 'mht'].map((name) => [name, MIME.email] as const),
]);

const DECLARED: ReadonlyMap<string, string> = new Map([
  [MIME.text, MIME.text],
  [MIME.markdown, MIME.markdown],
  ['text/x-markdown', MIME.markdown],
  [MIME.html, MIME.html],
  ['application/xhtml+xml', MIME.html],
  [MIME.xml, MIME.xml],
  ['text/xml', MIME.xml],
  [MIME.email, MIME.email],
]);

/** Text format by file name, else by declared type; undefined if neither is a text format. */
function hintOf({ filename, contentType }: FileInput): string | undefined {
  const declared = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return TEXT_NAMES.get(extensionOf(filename)) ?? DECLARED.get(declared);
}
