// Parts of a document's sections, in document order, with the metadata that the API adds.
import { chunksOf, type Chunking } from './chunking.ts';
import type { CustomDimensions, FileDocument, Metadata, Section, StructuredDocument } from './document-types.ts';
import type { Yielder } from './yielder.ts';

/** One text of a document, as stored and searched. */
export interface Part {
  /** Text of the part. */
  readonly text: string;
  /** Metadata of the part, including the fields that sealdex adds (docs/documents.md). */
  readonly metadata: Metadata;
  /** Context of the part. */
  readonly context?: string;
  /** Custom dimensions of the part. */
  readonly custom_dimensions?: CustomDimensions;
  /** Id of a table of the document. */
  readonly table_id?: string;
  /** Id of an image of the document. */
  readonly image_id?: string;
}

/** A section with the facts from its position in the document. */
export interface PlacedSection {
  readonly section: Section;
  /** Its path in the document, such as `sections[2].sections[0]`. */
  readonly field: string;
  /** Its id, or its 1-based number among all sections in document order. */
  readonly id: number;
  /** Titles of the enclosing sections, without untitled ones. */
  readonly breadcrumb: readonly string[];
  /** `lang` of its metadata, else of the nearest enclosing section that has one, else of the document. */
  readonly lang?: string;
}

/** All sections, each before its nested ones. */
export function* sectionsInOrder(document: StructuredDocument | FileDocument): Generator<PlacedSection> {
  let number = 0;
  function* walk(sections: readonly Section[], above: Omit<PlacedSection, 'section' | 'id'>): Generator<PlacedSection> {
    for (const [index, section] of sections.entries()) {
      number += 1;
      const field = `${above.field}[${index}]`;
      const lang = langOf(section.metadata) ?? above.lang;
      const place = { breadcrumb: above.breadcrumb, ...(lang !== undefined && { lang }) };
      yield { section, field, id: section.id ?? number, ...place };
      if (!section.sections) continue;
      const breadcrumb = section.title === undefined ? place.breadcrumb : [...place.breadcrumb, section.title];
      yield* walk(section.sections, { ...place, field: `${field}.sections`, breadcrumb });
    }
  }
  const lang = langOf(document.metadata);
  yield* walk(document.sections, { field: 'sections', breadcrumb: [], ...(lang !== undefined && { lang }) });
}

/** Only a valid language tag counts; other values stay plain metadata. */
function langOf(metadata: Metadata | undefined): string | undefined {
  const lang = metadata?.['lang'];
  return typeof lang === 'string' && /^[A-Za-z0-9-]{2,35}$/.test(lang) ? lang : undefined;
}

const partOf = (
  { section, id, breadcrumb, lang }: PlacedSection,
  text: string,
  offset: number,
  isTitle: boolean,
): Part => ({
  text,
  metadata: {
    ...section.metadata,
    section: id,
    ...(section.title !== undefined && { title: section.title }),
    breadcrumb,
    is_title: isTitle,
    offset,
    len: text.length,
    ...(lang !== undefined && { lang }),
  },
});

/**
 * The parts of one section: its title (offset and len refer to the title), then its text. A section with metadata but no text
 * gives one empty part, since its metadata would be lost otherwise.
 */
export async function* partsOf(placed: PlacedSection, chunking: Chunking, yielder: Yielder): AsyncGenerator<Part> {
  const { section } = placed;
  let parts = 0;
  const texts = [
    { text: section.title, isTitle: true, chunking: { ...chunking, joins: true } },
    { text: section.text, isTitle: false, chunking },
  ];
  for (const { text, isTitle, chunking } of texts) {
    if (text === undefined) continue;
    for await (const chunk of chunksOf(text, chunking, yielder)) {
      parts += 1;
      yield partOf(placed, chunk.text, chunk.offset, isTitle);
    }
  }
  if (parts === 0 && section.metadata && Object.keys(section.metadata).length > 0) yield partOf(placed, '', 0, false);
}
