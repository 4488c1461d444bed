// Word documents (DOCX).
import { openArchive } from '../archive.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { foundOf, languageOf } from '../office-metadata.ts';
import { sectionsOf } from '../office-outline.ts';
import { readPackage } from '../office.ts';

/** @throws FileError `damaged`, `archive-encrypted`, `unpacks-too-large`, `too-many-parts`, `too-deep` */
export async function readDocx({ bytes }: FileInput): Promise<Extracted> {
  const archive = openArchive(bytes);
  const lang = languageOf(archive, 'docProps/core.xml');
  const tree = await readPackage(bytes, archive, 'docx');
  return { contentType: MIME.docx, ...foundOf(tree.metadata, { lang }), sections: sectionsOf(tree.content) };
}
