// The parts of a stored file -> its sections as somebody would look through them: titles, and the first lines below each.

/** As the reader gives it. */
export interface StoredPart {
  readonly text: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface OutlineSection {
  readonly title: string | undefined;
  /** How many titles stand above. */
  readonly depth: number;
  /** Those that are not blank. */
  readonly lines: readonly string[];
}

export function outlineOf(parts: readonly StoredPart[]): OutlineSection[] {
  const sections = new Map<unknown, { title?: string; depth: number; text: string }>();
  for (const { text, metadata = {} } of parts) {
    const { section, breadcrumb, is_title: isTitle } = metadata;
    const depth = Array.isArray(breadcrumb) ? breadcrumb.length : 0;
    const known = sections.get(section) ?? { depth, text: '' };
    sections.set(section, isTitle === true ? { ...known, title: text } : { ...known, text: known.text + text });
  }
  return [...sections.values()].map(({ title, depth, text }) => ({
    title,
    depth,
    lines: text
      .split('\n')
      .map((line) => line.replaceAll(/\s+/g, ' ').trim())
      .filter((line) => line !== ''),
  }));
}
