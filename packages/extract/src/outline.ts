// Outline: builds nested sections from headings and text in reading order.
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
  /** Headings of the current section, outermost first. */
  #open: Heading[] = [];
  #headings = 0;

  /** Begins a section at a level from 1, the outermost. It is inside the last section with a smaller level. */
  heading(level: number, title: string): void {
    this.#headings += 1;
    if (this.#headings > MAX_SECTIONS) throw new FileError('too-many-parts');
    while ((this.#open.at(-1)?.level ?? 0) >= level) this.#open.pop();
    const heading: Heading = { level, title, texts: [], inner: [] };
    (this.#open.at(-1) ?? this.#top).inner.push(heading);
    this.#open.push(heading);
  }

  /** Appends text to the current section, without a separator. */
  add(text: string): void {
    (this.#open.at(-1) ?? this.#top).texts.push(text);
  }

  /** Text before the first heading is a section without title. */
  sections(): Section[] {
    const { texts, inner } = this.#top;
    const text = texts.join('').trim();
    return [...(text === '' ? [] : [{ text }]), ...inner.map(sectionOf)];
  }
}

/** Recursion is safe: levels increase with depth, and formats have at most nine. */
function sectionOf({ title, texts, inner }: Heading): Section {
  const text = texts.join('').trim();
  return {
    ...(title !== undefined && { title }),
    text,
    ...(inner.length > 0 && { sections: inner.map(sectionOf) }),
  };
}
