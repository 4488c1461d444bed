// XML of any kind: the text of its elements in order. Custom entities are never expanded, and nothing is fetched: they stay in the
// text as they are written.
import { charsetOf, decodeText } from '../encoding.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { LineBuilder } from '../line-builder.ts';
import { MIME } from '../mime.ts';
import { FileError } from '../file-error.ts';
import { type Attributes, readTags, type TagHandler } from '../tags.ts';

/** @throws FileError `encoding` */
export async function readXml({ bytes, contentType }: FileInput): Promise<Extracted> {
  const declared = /^\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(
    bytes.toString('latin1', 0, 512),
  );
  const text = decodeText(bytes, declared?.[1] ?? charsetOf(contentType));
  if (text === undefined) throw new FileError('encoding');
  const elements = new Elements();
  readTags(withoutDoctype(text), true, elements);
  return elements.end();
}

class Elements implements TagHandler {
  readonly #texts: string[] = [];
  readonly #lines = new LineBuilder((text) => this.#texts.push(text));
  /** Number of tags since the last text: one is markup inside a sentence, more begin the next element. */
  #tags = 0;
  #title: string[] | undefined;
  #isInTitle = false;
  #lang: string | undefined;

  open(name: string, attributes: Attributes, isClosed: boolean): void {
    this.#lang ??= attributes.get('xml:lang');
    this.#tags += isClosed ? 2 : 1;
    if (isClosed || this.#title !== undefined || !/(?:^|:)title$/i.test(name)) return;
    this.#title = [];
    this.#isInTitle = true;
  }

  close(): void {
    this.#tags += 1;
    this.#isInTitle = false;
  }

  text(text: string): void {
    if (text.trim() !== '') {
      if (this.#tags > 1) this.#lines.break();
      this.#tags = 0;
      if (this.#isInTitle) this.#title?.push(text);
    }
    this.#lines.text(text);
  }

  end(): Extracted {
    const title = this.#title?.join('').trim() ?? '';
    return {
      contentType: MIME.xml,
      ...(title !== '' && { title }),
      metadata: this.#lang === undefined ? {} : { lang: this.#lang },
      sections: [{ text: this.#texts.join('') }],
    };
  }
}

/** Removes the doctype. It may have declarations in brackets that contain `>`, where the tokenizer would end it. */
function withoutDoctype(text: string): string {
  const start = /<!DOCTYPE\s/i.exec(text.slice(0, 64 * 1024))?.index;
  if (start === undefined) return text;
  let isInBrackets = false;
  for (let at = start; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '"' || sign === "'") {
      at = text.indexOf(sign, at + 1);
      if (at === -1) return text.slice(0, start);
    } else if (text.startsWith('<!--', at)) {
      at = text.indexOf('-->', at + 4) + 2;
      if (at === 1) return text.slice(0, start);
    } else if (sign === '[') isInBrackets = true;
    else if (sign === ']') isInBrackets = false;
    else if (sign === '>' && !isInBrackets) return text.slice(0, start) + text.slice(at + 1);
  }
  return text.slice(0, start);
}
