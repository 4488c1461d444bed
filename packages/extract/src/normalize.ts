// Normalization of a reader's result, for all formats: removes control characters and blank sections, and enforces the limits on
// titles, metadata, depth, number and bytes.
import {
  MAX_SECTION_DEPTH,
  FOUND_METADATA_BYTES,
  MAX_FIELDS,
  MAX_ITEMS,
  MAX_SECTIONS,
  TITLE_CHARS,
  VALUE_CHARS,
} from './bounds.ts';
import type { Extracted, Metadata, Section } from './extracted.ts';
import { FileError } from './file-error.ts';

export interface ExtractLimits {
  /** Maximum size of all titles and texts of one file, in UTF-8 bytes. */
  readonly textBytes: number;
}

const lineOf = (text: string): string => textOf(text).replace(/\s+/g, ' ').trim();

/** @throws FileError `no-text`, `text-too-large`, `too-many-parts` */
export function normalize(found: Extracted, limits: ExtractLimits): Extracted {
  const sections = normalizeSections(found.sections, limits);
  if (sections.length === 0) throw new FileError('no-text');
  const title = cutText(lineOf(found.title ?? ''), TITLE_CHARS);
  return {
    contentType: found.contentType,
    ...(title !== '' && { title }),
    metadata: normalizeMetadata(found.metadata),
    sections,
  };
}

interface Open {
  readonly from: readonly Section[];
  next: number;
  readonly into: Section[];
}

/** Iterative, because the depth of sections depends on the file. Sections that are too deep move up. */
function normalizeSections(sections: readonly Section[], limits: ExtractLimits): Section[] {
  const budget = { sections: MAX_SECTIONS, bytes: limits.textBytes };
  const top: Section[] = [];
  const open: Open[] = [{ from: sections, next: 0, into: top }];
  const parents: { section: { sections?: readonly Section[] }; children: Section[] }[] = [];
  for (let frame = open.at(-1); frame; frame = open.at(-1)) {
    const section = frame.from[frame.next];
    frame.next += 1;
    if (section === undefined) {
      open.pop();
      continue;
    }
    const copy = normalizeSection(section, budget);
    const inner = section.sections ?? [];
    if (copy) frame.into.push(copy);
    if (inner.length === 0) continue;
    const isDeep = open.length >= MAX_SECTION_DEPTH;
    const children: Section[] = [];
    if (copy && !isDeep) parents.push({ section: copy, children });
    open.push({ from: inner, next: 0, into: copy && !isDeep ? children : frame.into });
  }
  for (const { section, children } of parents) if (children.length > 0) section.sections = children;
  return top;
}

type OwnSection = Omit<Section, 'sections'> & { sections?: readonly Section[] };

/** One section without its inner sections; undefined if it is empty. */
function normalizeSection(section: Section, budget: { sections: number; bytes: number }): OwnSection | undefined {
  const whole = lineOf(section.title ?? '');
  const title = cutText(whole, TITLE_CHARS);
  const own = textOf(section.text ?? '');
  const text = title === whole ? own : `${whole}\n\n${own}`.trimEnd();
  if (title === '' && text === '') return undefined;
  budget.sections -= 1;
  budget.bytes -= Buffer.byteLength(title) + Buffer.byteLength(text);
  if (budget.sections < 0) throw new FileError('too-many-parts');
  if (budget.bytes < 0) throw new FileError('text-too-large');
  const metadata = normalizeMetadata(section.metadata ?? {});
  return {
    ...(title !== '' && { title }),
    text,
    ...(Object.keys(metadata).length > 0 && { metadata }),
  };
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]+/g;

/** Text with `\n` line ends, without control characters and lone surrogates; empty if blank. */
function textOf(text: string): string {
  const lines = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
  const clean = CONTROL.test(lines) ? lines.replace(/\f/g, '\n').replace(CONTROLS, '') : lines;
  const whole = clean.toWellFormed();
  return whole.trim() === '' ? '' : whole;
}

/** The first `units` of a text, without a lone surrogate at the end. */
function cutText(text: string, units: number): string {
  if (text.length <= units) return text;
  const cut = text.slice(0, units);
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}

/** Drops fields that are blank, of an unexpected type or above the limits; cuts long values. */
function normalizeMetadata(metadata: Metadata): Metadata {
  const kept: Record<string, unknown> = {};
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata).slice(0, MAX_FIELDS)) {
    const name = cutText(lineOf(key), 100);
    const normal = normalizeValue(value);
    if (name === '' || name === '__proto__' || normal === undefined) continue;
    bytes += Buffer.byteLength(JSON.stringify([name, normal]));
    if (bytes > FOUND_METADATA_BYTES) break;
    kept[name] = normal;
  }
  return kept;
}

const normalizeItem = (value: unknown): unknown => (Array.isArray(value) ? undefined : normalizeValue(value));

/** An object of counts, such as the skipped attachments of a message. */
const isCounts = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.getPrototypeOf(value) === Object.prototype &&
  Object.values(value).every((count) => typeof count === 'number');

function normalizeValue(value: unknown): unknown {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value === 'string') {
    const text = cutText(textOf(value).trim(), VALUE_CHARS);
    return text === '' ? undefined : text;
  }
  if (Array.isArray(value)) {
    const items = value
      .slice(0, MAX_ITEMS)
      .map(normalizeItem)
      .filter((item) => item !== undefined);
    return items.length === 0 ? undefined : items;
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  return isCounts(value) ? value : undefined;
}
