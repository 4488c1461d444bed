// Has officeparser read a file, with everything off that is not its text: attachments, text in pictures, passwords. What comes out is
// its tree; what it throws becomes a reason, for its messages quote the file.
import { createRequire } from 'node:module';
import type { OfficeContentNode, OfficeError, OfficeMetadata, OfficeParser as Parser } from 'officeparser';
import { type Archive, MAX_ENTRIES } from './archive.ts';
import { FileError, type FileReason, limitReason } from './file-error.ts';

export type OfficeNode = OfficeContentNode;

export interface OfficeTree {
  readonly metadata: OfficeMetadata;
  readonly content: readonly OfficeNode[];
  /** Whether a part that the file lists is missing, or locked. */
  readonly isPartial: boolean;
}

/** Elements of all XML in one file. */
const MAX_ELEMENTS = 2_000_000;

const DEEPEST_ELEMENT = 2000;

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

/** It is loaded when the first file needs it: that takes a third of a second. */
let loaded: typeof Parser | undefined;
const load = (): typeof Parser => {
  loaded ??= (createRequire(import.meta.url)('officeparser') as { OfficeParser: typeof Parser }).OfficeParser;
  return loaded;
};

/** What officeparser looks at in an archive: neither pictures nor files in the file. */
const isRead = (name: string): boolean => /\.(?:xml|rels|opf|x?html?)$/i.test(name);
/** Its tags may stay open. */
const isHtml = (name: string): boolean => /html?$/i.test(name);

/**
 * A file that is an archive. All that will be read is unpacked once before, to see that it is whole and not too deep: officeparser
 * takes no look at checksums, and minutes for elements that are nested by the hundred thousand.
 * @throws FileError and no other error
 */
export async function readPackage(
  bytes: Buffer,
  archive: Archive,
  fileType: 'docx' | 'pptx' | 'odt' | 'epub',
): Promise<OfficeTree> {
  for (const { name, content } of archive.each(isRead)) {
    if (!isHtml(name) && depthOf(content) > DEEPEST_ELEMENT) throw new FileError('too-deep');
  }
  return readTree(bytes, fileType, archive.maxUnpackedBytes);
}

/**
 * @param maxUnpackedBytes what may come out of an archive.
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
  // What was passed over for its number would be missing without a word.
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

/** How deep the elements of an XML text are, or a little more: tags in comments count too. */
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
