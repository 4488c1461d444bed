// PowerPoint presentations (PPTX): one section per slide.
import { openArchive } from '../archive.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { foundOf, languageOf } from '../office-metadata.ts';
import { sectionsOf } from '../office-outline.ts';
import { readPackage } from '../office.ts';
import { FileError } from '../file-error.ts';

/** @throws FileError `damaged`, `archive-encrypted`, `unpacks-too-large`, `too-many-parts`, `too-deep` */
export async function readPptx({ bytes }: FileInput): Promise<Extracted> {
  const archive = openArchive(bytes);
  const lang = languageOf(archive, 'docProps/core.xml');
  const tree = await readPackage(bytes, archive, 'pptx');
  if (tree.isPartial) throw new FileError('damaged');
  const slides = tree.content.filter(({ type }) => type === 'slide').length;
  return { contentType: MIME.pptx, ...foundOf(tree.metadata, { lang, slides }), sections: sectionsOf(tree.content) };
}
