// OpenDocument texts (ODT).
import { openArchive } from '../archive.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { foundOf, languageOf, MAX_METADATA_BYTES } from '../office-metadata.ts';
import { sectionsOf } from '../office-outline.ts';
import { readPackage } from '../office.ts';
import { FileError } from '../file-error.ts';
import { readTags } from '../tags.ts';

/** @throws FileError `office-encrypted`, `damaged`, `archive-encrypted`, `unpacks-too-large`, `too-many-parts`, `too-deep` */
export async function readOdt({ bytes }: FileInput): Promise<Extracted> {
  const archive = openArchive(bytes);
  if (isEncrypted(archive.read('META-INF/manifest.xml', MAX_METADATA_BYTES))) throw new FileError('office-encrypted');
  const lang = languageOf(archive, 'meta.xml');
  const pages = pagesOf(archive.read('meta.xml', MAX_METADATA_BYTES));
  const tree = await readPackage(bytes, archive, 'odt');
  // `creator` is the person who saved the file last.
  const first: unknown = tree.metadata.nativeProperties?.['meta:initial-creator'];
  const author = typeof first === 'string' && first !== '' ? first : tree.metadata.author;
  return {
    contentType: MIME.odt,
    ...foundOf(tree.metadata, { author, lang, pages }),
    sections: sectionsOf(tree.content),
  };
}

/** Whether the manifest marks any part as encrypted. */
function isEncrypted(manifest: Buffer | undefined): boolean {
  let isFound = false;
  readTags(manifest?.toString('utf8') ?? '', true, {
    open: (name) => {
      if (name === 'encryption-data' || name.endsWith(':encryption-data')) isFound = true;
    },
    close: () => {},
    text: () => {},
  });
  return isFound;
}

function pagesOf(meta: Buffer | undefined): number | undefined {
  let pages: number | undefined;
  readTags(meta?.toString('utf8') ?? '', true, {
    open: (name, attributes) => {
      if (name === 'meta:document-statistic') pages = Number(attributes.get('meta:page-count') ?? Number.NaN);
    },
    close: () => {},
    text: () => {},
  });
  return Number.isInteger(pages) ? pages : undefined;
}
