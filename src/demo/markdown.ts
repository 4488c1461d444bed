// Markdown -> nested sections by its headings. Lines stay as they are: every one ends up in a title or a text, in order.
// Reads headings and code fences only; knows nothing of files and tenants.

/** A section as the indexing API takes it. */
export interface MarkdownSection {
  readonly title?: string;
  readonly text?: string;
  readonly sections?: readonly MarkdownSection[];
}

interface Open {
  /** 1 to 6; 0 for what stands before the first heading. */
  readonly level: number;
  readonly title?: string;
  readonly lines: string[];
  readonly inside: Open[];
}

const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?\s*$/;
const UNDERLINE = /^ {0,3}(=+|-{2,})\s*$/;
/** Lines that begin as lists, quotes, tables or headings do are no title of an underlined heading. */
const UNDERLINABLE = /^ {0,3}[^\s#>|*+=-]/;
const FENCE = /^\s*(`{3,}(?=[^`]*$)|~{3,})(.*)$/;

/** The sections of a text; one without a title when it has no headings. None for a text of white space. */
export function sectionsOf(markdown: string): MarkdownSection[] {
  const root: Open = { level: 0, lines: [], inside: [] };
  const path: Open[] = [root];
  const lines = markdown.split('\n');
  let fence: string | undefined;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const wasFenced = fence !== undefined;
    fence = fenceAfter(line, fence);
    const heading = wasFenced || fence !== undefined ? undefined : headingAt(lines, at);
    if (!heading) {
      path.at(-1)?.lines.push(line);
      continue;
    }
    while ((path.at(-1)?.level ?? 0) >= heading.level) path.pop();
    const opened: Open = { level: heading.level, title: heading.title, lines: [], inside: [] };
    path.at(-1)?.inside.push(opened);
    path.push(opened);
    at += heading.lines - 1;
  }
  const preface = root.lines.join('\n');
  return [...(preface.trim() === '' ? [] : [{ text: preface }]), ...root.inside.map(sectionOf)];
}

/** The fence that is open after this line. */
function fenceAfter(line: string, fence: string | undefined): string | undefined {
  const [, marks, rest = ''] = FENCE.exec(line) ?? [];
  if (marks === undefined) return fence;
  if (fence === undefined) return marks;
  return marks.startsWith(fence) && rest.trim() === '' ? undefined : fence;
}

function headingAt(lines: readonly string[], at: number): { level: number; title: string; lines: number } | undefined {
  const line = lines[at] ?? '';
  const [, marks, title] = HEADING.exec(line) ?? [];
  if (marks !== undefined && title !== undefined) {
    return /^#*$/.test(title) ? undefined : { level: marks.length, title, lines: 1 };
  }
  const isAlone = (lines[at - 1] ?? '').trim() === '';
  const underline = isAlone && UNDERLINABLE.test(line) ? UNDERLINE.exec(lines[at + 1] ?? '')?.[1] : undefined;
  return underline === undefined
    ? undefined
    : { level: underline.startsWith('=') ? 1 : 2, title: line.trim(), lines: 2 };
}

/** A section needs a text unless it has sections: then an empty one. */
function sectionOf({ title, lines, inside }: Open): MarkdownSection {
  const text = lines.join('\n');
  const isBlank = text.trim() === '';
  return {
    ...(title === undefined ? {} : { title }),
    ...(isBlank && inside.length > 0 ? {} : { text: isBlank ? '' : text }),
    ...(inside.length > 0 ? { sections: inside.map(sectionOf) } : {}),
  };
}
