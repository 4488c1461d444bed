// Electronic books (ePUB): the chapters in the order of the book.
import { openArchive } from '../archive.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { foundOf, isoOf } from '../office-metadata.ts';
import { sectionsOf } from '../office-outline.ts';
import { readPackage } from '../office.ts';
import { FileError } from '../file-error.ts';

/** @throws FileError `archive-encrypted`, `damaged`, `unpacks-too-large`, `too-many-parts`, `too-deep` */
export async function readEpub({ bytes }: FileInput): Promise<Extracted> {
  const archive = openArchive(bytes);
  const tree = await readPackage(bytes, archive, 'epub');
  if (tree.isPartial)
    throw new FileError(archive.names.has('META-INF/encryption.xml') ? 'archive-encrypted' : 'damaged');
  const date: unknown = tree.metadata.nativeProperties?.['date'];
  const created = typeof date === 'string' ? isoOf(date) : undefined;
  return { contentType: MIME.epub, ...foundOf(tree.metadata, { created }), sections: sectionsOf(tree.content) };
}
