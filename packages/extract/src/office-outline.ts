// officeparser's tree -> sections: headings and slides begin sections, paragraphs and list items are lines, cells are a tab apart, and
// notes follow the paragraph that refers to them.
import type { Section } from './extracted.ts';
import type { OfficeNode } from './office.ts';
import { Outline } from './outline.ts';

const INLINE: ReadonlySet<string> = new Set(['text', 'break', 'image']);
const DEEPEST_HEADING = 9;

const HEADING_STYLE = /^Heading([1-9])$/;
const styleOf = (metadata: OfficeNode['metadata']): string =>
  String((metadata as { style?: unknown } | undefined)?.style);

/** What stands in a list comes as an item of it, be it the one that stands for no list. */
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
  return Number.isInteger(level) ? Math.min(Math.max(level, 1), DEEPEST_HEADING) : 1;
}

/** The first heading of a slide is its title; others are lines of it, and the speaker's notes end it. One of pictures only is none. */
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

/** One line a block; a line break inside of one stays in its line's text. */
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
