// Office outline: converts the tree of officeparser to sections. Headings and slides begin sections, paragraphs and list items are
// lines, tabs separate cells, and notes follow the paragraph that refers to them.
import type { Section } from './extracted.ts';
import type { OfficeNode } from './office.ts';
import { Outline } from './outline.ts';

const INLINE: ReadonlySet<string> = new Set(['text', 'break', 'image']);
const MAX_HEADING_LEVEL = 9;

const HEADING_STYLE = /^Heading([1-9])$/;
const styleOf = (metadata: OfficeNode['metadata']): string =>
  String((metadata as { style?: unknown } | undefined)?.style);

/** officeparser returns a heading in a list as a list item, also for the list number that means no list. */
const isHeading = ({ type, metadata }: OfficeNode): boolean =>
  type === 'heading' || (type === 'list' && HEADING_STYLE.test(styleOf(metadata)));

export function sectionsOf(nodes: readonly OfficeNode[]): Section[] {
  const outline = new Outline();
  const add = (line: string): void => outline.add(`${line}\n`);
  for (const node of nodes) {
    if (node.type === 'slide') addSlide(node, outline);
    else if (isHeading(node)) addHeading(node, outline);
    else linesOf(node).forEach(add);
  }
  return outline.sections();
}

function addHeading(node: OfficeNode, outline: Outline): void {
  const [title = '', ...notes] = linesOf(node);
  if (title.trim() !== '') outline.heading(levelOf(node), title);
  for (const line of notes) outline.add(`${line}\n`);
}

function levelOf({ metadata }: OfficeNode): number {
  const [, styled] = HEADING_STYLE.exec(styleOf(metadata)) ?? [];
  const level = Number((metadata as { level?: unknown } | undefined)?.level ?? styled);
  return Number.isInteger(level) ? Math.min(Math.max(level, 1), MAX_HEADING_LEVEL) : 1;
}

/** The first heading of a slide is its title, other headings are lines, and speaker notes follow. A slide of pictures is skipped. */
function addSlide(node: OfficeNode, outline: Outline): void {
  const { slideNumber } = (node.metadata ?? {}) as { slideNumber?: number };
  const children = node.children ?? [];
  const heading = children.find(({ type }) => type === 'heading');
  const title = heading === undefined ? '' : linesOf(heading).join(' ').trim();
  const inner = children.filter((child) => child !== heading);
  const lines = [...inner, ...(node.notes ?? [])].flatMap(linesOf);
  if (title === '' && lines.every((line) => line.trim() === '')) return;
  outline.heading(1, title === '' ? `Slide ${slideNumber ?? 1}` : title);
  for (const line of lines) outline.add(`${line}\n`);
}

const rowsOf = (row: OfficeNode): string[] => {
  if (row.type !== 'row') return linesOf(row);
  return [(row.children ?? []).map((cell) => linesOf(cell).join(' ').replace(/\s+/g, ' ').trim()).join('\t')];
};

/** One line per block; a line break inside a block stays in its text. */
function linesOf(node: OfficeNode): string[] {
  if (node.type === 'table') return (node.children ?? []).flatMap(rowsOf);
  const children = node.children ?? [];
  const notes: OfficeNode[] = [];
  if (!children.some(({ type }) => !INLINE.has(type))) {
    const text =
      children.length === 0 ? inlineOf(node, notes) : children.map((child) => inlineOf(child, notes)).join('');
    if (children.length > 0) notes.push(...(node.notes ?? []));
    return [text, ...notes.flatMap(linesOf)];
  }
  const lines: string[] = [];
  let open = '';
  for (const child of children) {
    if (INLINE.has(child.type)) {
      open += inlineOf(child, notes);
      continue;
    }
    if (open !== '') lines.push(open);
    open = '';
    for (const line of linesOf(child)) lines.push(line);
  }
  if (open !== '') lines.push(open);
  return [...lines, ...[...notes, ...(node.notes ?? [])].flatMap(linesOf)];
}

function inlineOf(node: OfficeNode, notes: OfficeNode[]): string {
  notes.push(...(node.notes ?? []));
  if (node.type === 'break') return '\n';
  if (node.type === 'image') return (node.metadata as { altText?: string } | undefined)?.altText ?? '';
  return node.text ?? '';
}
