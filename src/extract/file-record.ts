// A file -> the bytes of its record, within all limits of a document. Runs in the child process.
// Knows nothing of pipes and processes.
import { type DocumentLimits, type Metadata, type Section } from '../documents/shapes.ts';
import { writeRecord } from '../documents/record.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Extracted, FileInput } from '@sealdex/extract';
import { unreadable } from './reasons.ts';
import type { FilePlace } from './protocol.ts';

export interface FileRecord {
  readonly contentType: string;
  /** NDJSON. */
  readonly bytes: Buffer;
}

/** @throws SealdexError `FILE_...` */
export async function fileRecord(file: FileInput, place: FilePlace, limits: DocumentLimits): Promise<FileRecord> {
  const { extract } = await import('@sealdex/extract');
  return recordOf(file, await extract(file, limits), place, limits);
}

/** @throws SealdexError `FILE_TOO_LARGE` when its metadata or the record is larger than it may be. */
export async function recordOf(
  file: FileInput,
  extracted: Extracted,
  place: FilePlace,
  limits: DocumentLimits,
): Promise<FileRecord> {
  const { tenant, corpus, id, revision, chunkingStrategy } = place;
  const { contentType, title, sections } = extracted;
  const metadata = metadataWithin(limits.metadataBytes, extracted, place.metadata ?? {});
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

/** The caller's over the file's, which is left out where both together would be too large. */
function metadataWithin(maxBytes: number, { metadata, sections }: Extracted, callers: Metadata): Metadata {
  const left = maxBytes - sectionsBytes(sections);
  const both = { ...metadata, ...callers };
  if (jsonBytes(both) <= left) return both;
  if (jsonBytes(callers) > left) throw unreadable('text-too-large');
  return callers;
}

const jsonBytes = (metadata: Metadata): number => Buffer.byteLength(JSON.stringify(metadata));

function sectionsBytes(sections: readonly Section[]): number {
  let bytes = 0;
  for (const { metadata, sections: inner } of sections) {
    bytes += (metadata ? jsonBytes(metadata) : 0) + (inner ? sectionsBytes(inner) : 0);
  }
  return bytes;
}
