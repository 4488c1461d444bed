// Markdown: headings become nested sections, the rest plain text. Reads the lines once, since files may be hostile: parsers of the
// full language take quadratic time for a row of `*` or `>`, and 20 KB of `>` overflow their stack.
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { Outline } from '../outline.ts';
import { inlineText } from './markdown-inline.ts';
import { frontMatter } from './front-matter.ts';
import { wholeTextOf } from './text.ts';

const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const UNDERLINE = /^ {0,3}(?:=+|-+)[ \t]*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const ITEM = /^[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+(?:\[[ xX]\][ \t]+)?|$)/;
const TABLE_RULE = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const DEFINITION = /^ {0,3}\[([^\]^][^\]]{0,998})\]:[ \t]*\S/;

/** @throws FileError `encoding`, `too-many-parts` */
export async function readMarkdown(file: FileInput): Promise<Extracted> {
  const text = wholeTextOf(file).replace(/\r\n?/g, '\n');
  const { fields, title, rest } = frontMatter(text);
  const blocks = new Blocks(rest.split('\n'));
  blocks.read();
  const name = title ?? blocks.title;
  return {
    contentType: MIME.markdown,
    ...(name !== undefined && { title: name }),
    metadata: fields,
    sections: blocks.outline.sections(),
  };
}

class Blocks {
  readonly outline = new Outline();
  /** The first heading of the first level. */
  title: string | undefined;
  readonly #lines: readonly string[];
  readonly #labels: ReadonlySet<string>;
  #paragraph: string[] = [];
  #fence: string | undefined;
  #isInList = false;
  #isInTable = false;
  #isAfterBlank = true;
  #isInComment = false;
  readonly #lastCommentEnd: number;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
    this.#labels = new Set(lines.map((line) => DEFINITION.exec(line)?.[1]?.toLowerCase() ?? ''));
    this.#lastCommentEnd = lines.findLastIndex((line) => line.includes('-->'));
  }

  read(): void {
    for (const [at, line] of this.#lines.entries()) this.#line(unquoted(line), at);
    this.#endParagraph();
  }

  #line(line: string, at: number): void {
    if (this.#isInFence(line) || this.#isInHiddenComment(line, at)) return;
    const isBlank = line.trim() === '';
    if (isBlank) {
      this.#endParagraph();
      this.#isInTable = false;
    } else if (this.#isHeading(line) || this.#isTable(line) || DEFINITION.test(line)) {
      // Already written, or the definition of a link.
    } else if (RULE.test(line)) this.#endParagraph();
    else if (/^(?: {4}|\t)/.test(line) && this.#paragraph.length === 0 && !this.#isInList) this.#write(line);
    else if (ITEM.test(line)) {
      this.#endParagraph();
      this.#isInList = true;
      this.#paragraph.push(line.replace(ITEM, ''));
    } else {
      if (this.#isAfterBlank && !/^[ \t]/.test(line)) this.#isInList = false;
      this.#paragraph.push(line.trimStart());
    }
    this.#isAfterBlank = isBlank;
  }

  #isInFence(line: string): boolean {
    const sign = FENCE.exec(line.trimStart())?.[1];
    if (this.#fence !== undefined) {
      const isEnd = sign?.startsWith(this.#fence) && line.trim() === sign;
      if (isEnd) this.#fence = undefined;
      else this.#write(line);
      return true;
    }
    if (sign === undefined || (sign.startsWith('`') && line.trim().slice(sign.length).includes('`'))) return false;
    this.#endParagraph();
    this.#fence = sign;
    return true;
  }

  /** Whether the line is in a multi-line comment. A comment that never ends is text. */
  #isInHiddenComment(line: string, at: number): boolean {
    if (this.#isInComment) {
      this.#isInComment = !line.includes('-->');
      return true;
    }
    const begins = line.trimStart().startsWith('<!--') && !line.includes('-->');
    this.#isInComment = begins && at < this.#lastCommentEnd;
    return this.#isInComment;
  }

  #isHeading(line: string): boolean {
    const signs = HEADING.exec(line)?.[1];
    if (signs !== undefined) {
      this.#endParagraph();
      this.#heading(signs.length, withoutClosing(line.trim().slice(signs.length)));
      return true;
    }
    if (this.#paragraph.length === 0 || this.#isAfterBlank || this.#isInList || !UNDERLINE.test(line)) return false;
    const title = this.#paragraph.join('\n');
    this.#paragraph = [];
    this.#heading(line.includes('=') ? 1 : 2, title);
    return true;
  }

  #heading(level: number, source: string): void {
    const title = this.#words(source).replace(/\s+/g, ' ').trim();
    this.#isInList = false;
    if (title === '') return;
    this.outline.heading(level, title);
    if (level === 1) this.title ??= title;
  }

  #isTable(line: string): boolean {
    const hasBar = line.includes('|');
    if (!hasBar) this.#isInTable = false;
    else if (!this.#isInTable && this.#paragraph.length > 0 && TABLE_RULE.test(line)) {
      const head = this.#paragraph.pop() ?? '';
      this.#endParagraph();
      this.#row(head);
      this.#isInTable = true;
      return true;
    }
    if (this.#isInTable) this.#row(line);
    return this.#isInTable;
  }

  #row(line: string): void {
    const cells = line
      .trim()
      .replace(/^\|/, '')
      .replace(/\|$/, '')
      .split(/(?<!\\)\|/);
    this.#write(cells.map((cell) => this.#words(cell.replaceAll('\\|', '|')).trim()).join('\t'));
  }

  #endParagraph(): void {
    if (this.#paragraph.length === 0) return;
    const text = this.#words(this.#paragraph.join('\n'));
    this.#paragraph = [];
    const lines = text.split('\n').map((line) => line.trim());
    const written = lines.filter((line) => line !== '').join('\n');
    if (written !== '') this.#write(written);
  }

  #words(source: string): string {
    return inlineText(source, (label) => this.#labels.has(label.toLowerCase()));
  }

  #write(text: string): void {
    this.outline.add(`${text}\n`);
  }
}

/** Removes any number of quote signs. */
function unquoted(line: string): string {
  let at = 0;
  for (let spaces = 0; at + spaces < line.length && spaces < 4;) {
    const sign = line[at + spaces];
    if (sign === '>') {
      at += spaces + 1;
      if (line[at] === ' ') at += 1;
      spaces = 0;
    } else if (sign === ' ') spaces += 1;
    else break;
  }
  return line.slice(at);
}

function withoutClosing(heading: string): string {
  const title = heading.trim();
  let end = title.length;
  while (title[end - 1] === '#') end -= 1;
  return end === 0 || /[ \t]/.test(title[end - 1] ?? '') ? title.slice(0, end) : title;
}
