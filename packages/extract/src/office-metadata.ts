// Metadata of office files, with the same field names for all formats.
import type { OfficeMetadata } from 'officeparser';
import type { Archive } from './archive.ts';
import type { Extracted } from './extracted.ts';
import { readTags } from './tags.ts';

/** Maximum size of a metadata part of an archive. */
export const MAX_METADATA_BYTES = 1024 * 1024;

/** Merges the fields; `more` takes precedence. Omits undefined fields. */
export function foundOf(
  found: OfficeMetadata,
  more: Readonly<Record<string, unknown>>,
): Pick<Extracted, 'title' | 'metadata'> {
  const { title } = found;
  const metadata = {
    author: found.author,
    subject: found.subject,
    description: found.description,
    keywords: found.keywords,
    lang: found.language,
    created: isoOf(found.created),
    modified: isoOf(found.modified),
    pages: found.pages,
    ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)),
  };
  const known = Object.entries(metadata).filter(([, value]) => value !== undefined && value !== '');
  return { ...(title !== undefined && { title }), metadata: Object.fromEntries(known) };
}

export function isoOf(date: Date | string | null | undefined): string | undefined {
  const at = new Date(date ?? Number.NaN);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** The Dublin Core language in a part of the archive, which officeparser ignores. */
export function languageOf(archive: Archive, part: string): string | undefined {
  const xml = archive.read(part, MAX_METADATA_BYTES)?.toString('utf8') ?? '';
  let isInside = false;
  let found = '';
  readTags(xml, true, {
    open: (name, _attributes, isClosed) => {
      isInside = name === 'dc:language' && !isClosed;
    },
    close: () => {
      isInside = false;
    },
    text: (text) => {
      if (isInside) found += text;
    },
  });
  return found.trim() === '' ? undefined : found.trim();
}
