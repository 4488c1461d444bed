// Documents of the demo: a page becomes an index request, and the text that must come back for it.
import { randomBytes } from 'node:crypto';
import type { IndexRequest } from '../index.ts';
import { isMarkdown, type Page } from './files.ts';

export interface DemoRequest extends IndexRequest {
  readonly document: { readonly type: 'structured' | 'core'; readonly id: string };
  /** All text of the document in order. */
  readonly texts: readonly string[];
}

/** Below the default of SEALDEX_PART_CHARS. */
const MAX_PART_CHARS = 16_000;

/** 16 random letters. In an id, a name or metadata they show where those are stored in the clear. */
export const randomWord = (): string => String.fromCharCode(...randomBytes(16).map((byte) => 97 + (byte % 26)));

/** Id, metadata and idempotency key contain `mark`. A core document needs paragraphs that are short enough for a part. */
export function requestOf(tenant: string, corpus: string, page: Page, mark: string, isCore = false): DemoRequest {
  const shared = { id: `${mark}/${page.path}`, metadata: { file: page.path, mark } };
  const request = { tenant, corpus, idempotencyKey: mark };
  const paragraphs = page.text.split(/\n\s*\n/).filter((paragraph) => paragraph.trim() !== '');
  if (isCore && paragraphs.every(({ length }) => length <= MAX_PART_CHARS)) {
    const document = { type: 'core' as const, ...shared, document_parts: paragraphs.map((text) => ({ text })) };
    return { ...request, document, texts: paragraphs };
  }
  const sections = isMarkdown(page) ? sectionsOf(page.text) : [{ text: page.text }];
  const document = { type: 'structured' as const, ...shared, title: sections[0]?.title ?? page.path, sections };
  return { ...request, document, texts: sections.flatMap(({ title = '', text }) => [title, text]) };
}

/** A section for each heading. A comment in a code block may count as a heading too: no text is lost by it. */
export function sectionsOf(markdown: string): { readonly title?: string; readonly text: string }[] {
  const blocks = markdown.split(/^(?=#{1,6} +[^\s#])/m).filter((block) => block.trim() !== '');
  return blocks.map((block) => {
    const [, title, text = ''] = /^#{1,6} +([^\n]*\S)[^\n]*\n?([\s\S]*)$/.exec(block) ?? [];
    return title === undefined ? { text: block } : { title, text: text.trim() === '' ? '' : text };
  });
}

const squeeze = (texts: readonly string[]): string => texts.join('').replaceAll(/\s+/g, '');

/** Whether two texts that are cut differently are the same. White space does not count. */
export const isSameText = (a: readonly string[], b: readonly string[]): boolean => squeeze(a) === squeeze(b);
