// Creates a file's record within the limits of a document. Runs in the extraction process.
import { type DocumentLimits, type Metadata, type Section } from '../documents/shapes.ts';
import { writeRecord } from '../documents/record.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Extracted, FileInput } from '@sealdex/extract';
import { unreadable, unsupported } from './reasons.ts';
import type { FilePlace } from './protocol.ts';

/** Loaded immediately: the process exists to read files. A failed import fails every request. */
const readers = import('@sealdex/extract');
readers.catch(() => {});

export interface FileRecord {
  readonly contentType: string;
  /** NDJSON. */
  readonly bytes: Buffer;
}

/** @throws SealdexError `FILE_...` */
export async function fileRecord(file: FileInput, place: FilePlace, limits: DocumentLimits): Promise<FileRecord> {
  return recordOf(file, await extracted(file, limits), place, limits);
}

async function extracted(file: FileInput, { documentBytes }: DocumentLimits): Promise<Extracted> {
  const { extract, FileError } = await readers;
  try {
    return await extract(file, { textBytes: documentBytes });
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw error.reason === 'unsupported' ? unsupported(error.found) : unreadable(error.reason);
  }
}

/** @throws SealdexError `FILE_TOO_LARGE` if the metadata or the record exceeds its limit */
async function recordOf(
  file: FileInput,
  read: Extracted,
  place: FilePlace,
  limits: DocumentLimits,
): Promise<FileRecord> {
  const { tenant, corpus, id, revision, chunkingStrategy } = place;
  const { contentType, title, sections } = read;
  const metadata = metadataWithin(limits.metadataBytes, read, place.metadata ?? {});
  const document = {
    type: 'file' as const,
    id,
    ...(title === undefined ? {} : { title }),
    metadata,
    ...(chunkingStrategy === undefined ? {} : { chunking_strategy: chunkingStrategy }),
    source: { filename: file.filename, contentType, bytes: file.bytes.length },
    sections,
  };
  try {
    return { contentType, bytes: await writeRecord({ tenant, corpus, revision, document }, limits) };
  } catch (error) {
    if (error instanceof SealdexError && error.code === 'DOCUMENT_INVALID') throw unreadable('text-too-large');
    throw error;
  }
}

const jsonBytes = (metadata: Metadata): number => Buffer.byteLength(JSON.stringify(metadata));

/** The caller's metadata takes precedence. The file's metadata is left out if both together exceed the limit. */
function metadataWithin(maxBytes: number, { metadata, sections }: Extracted, callers: Metadata): Metadata {
  const left = maxBytes - sectionsBytes(sections);
  const both = { ...metadata, ...callers };
  if (jsonBytes(both) <= left) return both;
  if (jsonBytes(callers) > left) throw unreadable('text-too-large');
  return callers;
}

function sectionsBytes(sections: readonly Section[]): number {
  let bytes = 0;
  for (const { metadata, sections: inner } of sections) {
    bytes += (metadata ? jsonBytes(metadata) : 0) + (inner ? sectionsBytes(inner) : 0);
  }
  return bytes;
}
