// Office reader: parses a file with officeparser, without attachments, OCR and passwords, and returns its tree.
// Errors become reasons, because their messages quote the file.
import { createRequire } from 'node:module';
import type { OfficeContentNode, OfficeError, OfficeMetadata, OfficeParser as Parser } from 'officeparser';
import { type Archive, MAX_ENTRIES } from './archive.ts';
import { FileError, type FileReason, limitReason } from './file-error.ts';

export type OfficeNode = OfficeContentNode;

export interface OfficeTree {
  readonly metadata: OfficeMetadata;
  readonly content: readonly OfficeNode[];
  /** Whether a listed part is missing or locked. */
  readonly isPartial: boolean;
}

/** Maximum number of XML elements in one file. */
const MAX_ELEMENTS = 2_000_000;

const MAX_ELEMENT_DEPTH = 2000;

const REASONS: ReadonlyMap<string, FileReason> = new Map([
  ['PASSWORD_REQUIRED', 'office-encrypted'],
  ['PASSWORD_INCORRECT', 'office-encrypted'],
  ['DOCUMENT_DECRYPTION_FAILED', 'archive-encrypted'],
  ['ZIP_SIZE_LIMIT_EXCEEDED', 'unpacks-too-large'],
  ['ZIP_ENTRY_COUNT_LIMIT_EXCEEDED', 'too-many-parts'],
  ['XML_ELEMENT_LIMIT_EXCEEDED', 'too-many-parts'],
  ['MAX_NESTING_DEPTH_EXCEEDED', 'too-deep'],
]);

const CUT_SHORT = ['TABLE_CELL_LIMIT_EXCEEDED', 'REPEATED_CONTENT_LIMIT_EXCEEDED'];

/** Loaded for the first file, since loading takes about 0.3 s. */
let loaded: typeof Parser | undefined;
const load = (): typeof Parser => {
  loaded ??= (createRequire(import.meta.url)('officeparser') as { OfficeParser: typeof Parser }).OfficeParser;
  return loaded;
};

/** Parts that officeparser reads: no pictures and no embedded files. */
const isRead = (name: string): boolean => /\.(?:xml|rels|opf|x?html?)$/i.test(name);
/** HTML parts, in which tags may stay open. */
const isHtml = (name: string): boolean => /html?$/i.test(name);

/**
 * Reads an archive. Unpacks all its parts once before, to check that they are intact and not too deep: officeparser does not
 * verify checksums, and takes minutes for 100,000 nested elements.
 * @throws FileError and no other error
 */
export async function readPackage(
  bytes: Buffer,
  archive: Archive,
  fileType: 'docx' | 'pptx' | 'odt' | 'epub',
): Promise<OfficeTree> {
  for (const { name, content } of archive.each(isRead)) {
    if (!isHtml(name) && depthOf(content) > MAX_ELEMENT_DEPTH) throw new FileError('too-deep');
  }
  return readTree(bytes, fileType, archive.maxUnpackedBytes);
}

/**
 * @param maxUnpackedBytes maximum size of all unpacked parts of an archive
 * @throws FileError and no other error
 */
export async function readTree(
  bytes: Buffer,
  fileType: 'docx' | 'pptx' | 'odt' | 'rtf' | 'epub',
  maxUnpackedBytes = 0,
): Promise<OfficeTree> {
  const warnings = new Set<string>();
  let tree: Pick<OfficeTree, 'metadata' | 'content'>;
  try {
    tree = await load().parseOffice(bytes, {
      fileType,
      ocr: false,
      extractAttachments: false,
      includeRawContent: false,
      ignoreNotes: false,
      ignoreComments: true,
      ignoreHeadersAndFooters: true,
      ignoreSlideMasters: true,
      onWarning: ({ code }) => warnings.add(code),
      decompressionLimits: {
        maxUncompressedBytes: maxUnpackedBytes,
        maxZipEntries: MAX_ENTRIES,
        maxXmlElements: MAX_ELEMENTS,
      },
    });
  } catch (error) {
    throw new FileError(reasonOf(error));
  }
  // Content above officeparser's limits would be missing without an error.
  if (CUT_SHORT.some((code) => warnings.has(code))) throw new FileError('too-many-parts');
  return { metadata: tree.metadata, content: tree.content, isPartial: warnings.has('CONTENT_PART_NOT_READ') };
}

function reasonOf(error: unknown): FileReason {
  const code = (error as OfficeError | undefined)?.officeIssue?.code;
  return limitReason(error) ?? REASONS.get(String(code)) ?? 'damaged';
}

const LESS = 0x3c;
const GREATER = 0x3e;
const SLASH = 0x2f;
const MARK = 0x21;
const QUESTION = 0x3f;

/** Upper bound of the depth of elements: tags in comments count too. */
function depthOf(xml: Buffer): number {
  let depth = 0;
  let deepest = 0;
  let end = 0;
  for (let at = xml.indexOf(LESS); at !== -1; at = xml.indexOf(LESS, end)) {
    end = xml.indexOf(GREATER, at);
    if (end === -1) break;
    if (xml[at + 1] === SLASH) depth -= 1;
    else if (xml[at + 1] !== MARK && xml[at + 1] !== QUESTION && xml[end - 1] !== SLASH) depth += 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
