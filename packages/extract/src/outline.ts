// Headings and text in reading order -> nested sections. Knows no format.
import type { Section } from './extracted.ts';
import { MAX_SECTIONS } from './bounds.ts';
import { FileError } from './file-error.ts';

interface Heading {
  readonly level: number;
  readonly title?: string;
  readonly texts: string[];
  readonly inner: Heading[];
}

export class Outline {
  readonly #top: Heading = { level: 0, texts: [], inner: [] };
  /** The headings that the next text is under, outermost first. */
  #open: Heading[] = [];
  #headings = 0;

  /** Begins a section. One of a lower level, 1 being the highest, is inside of the last one of a higher level. */
  heading(level: number, title: string): void {
    this.#headings += 1;
    if (this.#headings > MAX_SECTIONS) throw new FileError('too-many-parts');
    while ((this.#open.at(-1)?.level ?? 0) >= level) this.#open.pop();
    const heading: Heading = { level, title, texts: [], inner: [] };
    (this.#open.at(-1) ?? this.#top).inner.push(heading);
    this.#open.push(heading);
  }

  /** Text of the section that is open, joined without anything in between. */
  add(text: string): void {
    (this.#open.at(-1) ?? this.#top).texts.push(text);
  }

  /** What stands before the first heading is a section without title. */
  sections(): Section[] {
    const { texts, inner } = this.#top;
    const text = texts.join('').trim();
    return [...(text === '' ? [] : [{ text }]), ...inner.map(sectionOf)];
  }
}

/** Recursion is safe: every level is lower than the one above, and the formats have nine at most. */
function sectionOf({ title, texts, inner }: Heading): Section {
  const text = texts.join('').trim();
  return {
    ...(title !== undefined && { title }),
    text,
    ...(inner.length > 0 && { sections: inner.map(sectionOf) }),
  };
}
