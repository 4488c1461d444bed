// Inline Markdown: converts a paragraph to plain text, without the markup of emphasis, links, images, code and tags.
// Linear time for any input: the position of the next closing sign is cached, never searched twice.
import { readTags } from '../tags.ts';

/** A longer destination, label or tag is text. */
const MAX_SPAN_CHARS = 2000;
const SIGN = /[\\`*_~[\]!<&\n]/g;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;

/** A row of `*`, `_` or `~` that may be emphasis; `[` or `![` that may be a link. */
interface Mark {
  readonly sign: string;
  length: number;
}

/** @param isDefined returns whether the label of a link is defined in the document */
export function inlineText(text: string, isDefined: (label: string) => boolean): string {
  return new Inline(text, isDefined).read();
}

class Inline {
  readonly #text: string;
  readonly #isDefined: (label: string) => boolean;
  readonly #out: (string | Mark)[] = [];
  readonly #marks: Record<string, Mark[]> = { '*': [], _: [], '~': [] };
  readonly #brackets: { readonly mark: Mark; readonly at: number }[] = [];
  readonly #ahead = new Map<string, number>();
  #ticks: Map<number, number[]> | undefined;
  #at = 0;

  constructor(text: string, isDefined: (label: string) => boolean) {
    this.#text = text;
    this.#isDefined = isDefined;
  }

  read(): string {
    const text = this.#text;
    while (this.#at < text.length) {
      SIGN.lastIndex = this.#at;
      const next = SIGN.exec(text)?.index ?? text.length;
      if (next > this.#at) this.#out.push(text.slice(this.#at, next));
      this.#at = next;
      if (next < text.length) this.#sign(text.charAt(next));
    }
    return this.#out.map((piece) => (typeof piece === 'string' ? piece : piece.sign.repeat(piece.length))).join('');
  }

  #sign(sign: string): void {
    if (sign === '\\') this.#escape();
    else if (sign === '`') this.#code();
    else if (sign === '[') this.#openBracket('[');
    else if (this.#text.startsWith('![', this.#at)) this.#openBracket('![');
    else if (sign === '!') this.#write('!', 1);
    else if (sign === ']') this.#closeBracket();
    else if (sign === '<') this.#tag();
    else if (sign === '&') this.#entity();
    else if (sign === '\n') this.#lineEnd();
    else this.#emphasis(sign);
  }

  /** Writes `words` in place of the next `units` of the text. */
  #write(words: string, units: number): void {
    if (words !== '') this.#out.push(words);
    this.#at += units;
  }

  #escape(): void {
    const next = this.#text.charAt(this.#at + 1);
    if (next === '\n') this.#write('\n', 2);
    else if (PUNCTUATION.test(next)) this.#write(next, 2);
    else this.#write('\\', 1);
  }

  /** Handles a line end of the source; after two spaces it is kept. */
  #lineEnd(): void {
    const isKept = this.#text.slice(Math.max(0, this.#at - 2), this.#at) === '  ';
    this.#write(isKept ? '\n' : ' ', 1);
  }

  #code(): void {
    const length = this.#row('`');
    const rows = this.#tickRows().get(length) ?? [];
    while ((rows.at(-1) ?? Infinity) <= this.#at) rows.pop();
    const end = rows.at(-1);
    if (end === undefined) {
      this.#write('`'.repeat(length), length);
      return;
    }
    const code = this.#text.slice(this.#at + length, end).replaceAll('\n', ' ');
    const isPadded = code.startsWith(' ') && code.endsWith(' ') && code.trim() !== '';
    this.#write(isPadded ? code.slice(1, -1) : code, end + length - this.#at);
  }

  /** Positions of rows of backticks by their length, in descending order. */
  #tickRows(): Map<number, number[]> {
    if (this.#ticks) return this.#ticks;
    this.#ticks = new Map();
    const rows = [...this.#text.matchAll(/`+/g)].toReversed();
    for (const { 0: row, index } of rows) {
      const same = this.#ticks.get(row.length);
      if (same) same.push(index);
      else this.#ticks.set(row.length, [index]);
    }
    return this.#ticks;
  }

  #row(sign: string): number {
    let end = this.#at;
    while (this.#text[end] === sign) end += 1;
    return end - this.#at;
  }

  #emphasis(sign: string): void {
    const length = this.#row(sign);
    const before = this.#text[this.#at - 1] ?? ' ';
    const after = this.#text[this.#at + length] ?? ' ';
    const isInWord = sign === '_' && WORD.test(before) && WORD.test(after);
    const isEmphasis = !isInWord && !(sign === '~' && length !== 2);
    let rest = length;
    const open = this.#marks[sign] ?? [];
    if (isEmphasis && before.trim() !== '') {
      for (let mark = open.at(-1); mark && rest > 0; mark = open.at(-1)) {
        const used = Math.min(mark.length, rest);
        mark.length -= used;
        rest -= used;
        if (mark.length === 0) open.pop();
      }
    }
    this.#at += length;
    if (rest === 0) return;
    const mark = { sign, length: rest };
    this.#out.push(mark);
    if (isEmphasis && after.trim() !== '') open.push(mark);
  }

  #openBracket(sign: string): void {
    const mark = { sign, length: 1 };
    this.#out.push(mark);
    this.#brackets.push({ mark, at: this.#at + sign.length });
    this.#at += sign.length;
  }

  #closeBracket(): void {
    const bracket = this.#brackets.pop();
    const follows = this.#text[this.#at + 1];
    if (!bracket) return this.#write(']', 1);
    const end = follows === '(' ? this.#destinationEnd() : follows === '[' ? this.#find(']', this.#at + 2) : undefined;
    const isLink = end !== undefined || (this.#at - bracket.at < MAX_SPAN_CHARS && this.#hasAddress(bracket.at));
    if (!isLink) return this.#write(']', 1);
    bracket.mark.length = 0;
    return this.#write('', (end ?? this.#at) + 1 - this.#at);
  }

  #hasAddress(start: number): boolean {
    return this.#isDefined(this.#text.slice(start, this.#at));
  }

  /** Position of the parenthesis after an address and its title. The address may contain one pair of parentheses. */
  #destinationEnd(): number | undefined {
    const start = this.#at + 2;
    const end = this.#find(')', start);
    if (end === undefined || !this.#text.slice(start, end).includes('(')) return end;
    return this.#find(')', end + 1) ?? end;
  }

  /** Position of the next `sign`; undefined if it is too far away. */
  #find(sign: string, from: number): number | undefined {
    let found = this.#ahead.get(sign) ?? -1;
    if (found < from && found !== Infinity) {
      const at = this.#text.indexOf(sign, from);
      found = at === -1 ? Infinity : at;
      this.#ahead.set(sign, found);
    }
    return found - from <= MAX_SPAN_CHARS ? found : undefined;
  }

  #tag(): void {
    const isComment = this.#text.startsWith('<!--', this.#at);
    const end = isComment ? this.#find('-->', this.#at) : this.#find('>', this.#at);
    const inner = end === undefined ? '' : this.#text.slice(this.#at + 1, end);
    if (end === undefined) this.#write('<', 1);
    else if (isComment) this.#write('', end + 3 - this.#at);
    else if (/^[a-z][a-z0-9+.-]{1,31}:\S*$|^[^\s@<]+@[^\s@<]+$/i.test(inner)) this.#write(inner, inner.length + 2);
    else if (!/^\/?[a-z][a-z0-9-]*(?:[\s/]|$)/i.test(inner)) this.#write('<', 1);
    else if (/^img\s/i.test(inner)) this.#write(plainText(`<${inner}>`), inner.length + 2);
    else this.#write(/^(?:br|\/?(?:p|div|tr|li|h[1-6]))\b/i.test(inner) ? '\n' : '', inner.length + 2);
  }

  #entity(): void {
    const entity = /^&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});/i.exec(
      this.#text.slice(this.#at, this.#at + 40),
    );
    if (entity) this.#write(decodeEntity(entity[0]), entity[0].length);
    else this.#write('&', 1);
  }
}

function plainText(html: string): string {
  const texts: string[] = [];
  readTags(html, false, {
    open: (name, attributes) => {
      if (name === 'img') texts.push(attributes.get('alt') ?? '');
    },
    close: () => {},
    text: (text) => texts.push(text),
  });
  return texts.join('');
}

const MAX_ENTITIES = 5000;
const entities = new Map<string, string>();

function decodeEntity(entity: string): string {
  const known = entities.get(entity);
  if (known !== undefined) return known;
  const text = plainText(entity);
  if (entities.size < MAX_ENTITIES) entities.set(entity, text);
  return text;
}
