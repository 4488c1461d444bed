// A file of the corpus -> a document as an indexing API sends it, and the proof that what came back is that file's text.
// Knows nothing of queues and keys.
import { isMarkdown, type CorpusFile } from './corpus.ts';
import { type MarkdownSection, sectionsOf } from './markdown.ts';

interface StructuredPage {
  readonly type: 'structured';
  readonly id: string;
  readonly title: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sections: readonly MarkdownSection[];
}

interface CorePage {
  readonly type: 'core';
  readonly id: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly document_parts: readonly { readonly text: string }[];
}

export type Page = StructuredPage | CorePage;

/** Below the default of SEALDEX_PART_CHARS. */
const LONGEST_PART = 16_000;

/** `structured`: headings become nested sections. `core`: paragraphs become parts. */
export function pageOf(file: CorpusFile, type: Page['type']): Page {
  const id = file.path;
  const name = id.slice(id.lastIndexOf('/') + 1);
  const metadata = { package: file.package, version: file.version, file: id };
  if (type === 'core') return { type, id, metadata, document_parts: paragraphsOf(file.text).map((text) => ({ text })) };
  const sections = isMarkdown(file) ? sectionsOf(file.text) : [{ text: file.text }];
  const title = sections.find((section) => section.title !== undefined)?.title ?? name;
  return { type, id, title, metadata, sections };
}

function paragraphsOf(text: string): string[] {
  const paragraphs = text.split(/\n(?:[ \t\r]*\n)+/).filter((paragraph) => paragraph.trim() !== '');
  return paragraphs.flatMap((paragraph) => {
    const characters = paragraph.length > LONGEST_PART ? Array.from(paragraph) : [paragraph];
    const pieces: string[] = [];
    let piece = '';
    for (const character of characters) {
      if (piece !== '' && piece.length + character.length > LONGEST_PART) {
        pieces.push(piece);
        piece = '';
      }
      piece += character;
    }
    return [...pieces, piece].filter((each) => each.trim() !== '');
  });
}

/** How many headings a document shows, those inside others included. */
export function headingsIn(sections: readonly MarkdownSection[]): number {
  return sections.reduce(
    (sum, { title, sections: inside = [] }) => sum + (title === undefined ? 0 : 1) + headingsIn(inside),
    0,
  );
}

export interface ReadPart {
  readonly text: string;
  readonly isTitle: boolean;
}

const MARKS = '#=-';

/**
 * Whether the parts, in their order, are the whole text. White space between them does not count, nor do the marks that
 * made a line a heading, but only where a title stands.
 */
export function isTextOf(parts: readonly ReadPart[], text: string): boolean {
  const whole = squeeze(text);
  // Where the parts so far may end: a mark before a text can belong to the title above or to the text.
  let ends = new Set([0]);
  let wasTitle = false;
  for (const part of parts) {
    const piece = squeeze(part.text);
    const starts = part.isTitle || wasTitle ? pastMarks(whole, ends) : ends;
    ends = new Set([...starts].filter((at) => whole.startsWith(piece, at)).map((at) => at + piece.length));
    wasTitle = part.isTitle;
  }
  return (wasTitle ? pastMarks(whole, ends) : ends).has(whole.length);
}

/** The places themselves, and those that follow them after marks only. */
function pastMarks(whole: string, places: ReadonlySet<number>): Set<number> {
  const past = new Set(places);
  for (const place of places) {
    for (let at = place; MARKS.includes(whole.charAt(at) || ' ') && !past.has(at + 1); at++) past.add(at + 1);
  }
  return past;
}

const squeeze = (text: string): string => text.replaceAll(/\s+/g, '');
