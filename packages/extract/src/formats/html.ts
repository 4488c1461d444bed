// HTML: headings become sections, blocks become lines, table rows lines with tabs. Fetches nothing, and runs no scripts.
import { charsetOf, decodeText } from '../encoding.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { LineBuilder } from '../line-builder.ts';
import { MIME } from '../mime.ts';
import { Outline } from '../outline.ts';
import { FileError } from '../file-error.ts';
import { type Attributes, readTags, type TagHandler } from '../tags.ts';

/** Bytes that are searched for a charset, as in browsers. */
const SNIFFED_BYTES = 1024;
/** A longer heading was never closed, and continues as text. */
const MAX_HEADING_CHARS = 1000;

const words = (list: string): ReadonlySet<string> => new Set(list.split(' '));

const DROPPED = words('script style template noscript iframe noembed noframes');
const BLOCKS = words(
  'address article aside blockquote body br button canvas caption center dd details dialog dir div dl dt fieldset ' +
    'figcaption figure footer form head header hgroup hr html legend li main menu nav ol optgroup option p pre section select ' +
    'summary table tbody textarea tfoot thead title ul h1 h2 h3 h4 h5 h6',
);
const META_FIELDS: ReadonlyMap<string, string> = new Map([
  ['author', 'author'],
  ['description', 'description'],
  ['keywords', 'keywords'],
  ['date', 'date'],
  ['dc.date', 'date'],
  ['dcterms.date', 'date'],
  ['dc.creator', 'author'],
  ['article:published_time', 'date'],
]);

/** @throws FileError `encoding`, `too-many-parts` */
export async function readHtml({ bytes, contentType }: FileInput): Promise<Extracted> {
  const head = bytes.toString('latin1', 0, SNIFFED_BYTES);
  const inside = /<meta\s[^>]{0,300}?charset\s*=\s*["']?([\w.:-]{1,40})/i.exec(head)?.[1];
  const text = decodeText(bytes, charsetOf(contentType) ?? inside);
  if (text === undefined) throw new FileError('encoding');
  return readHtmlText(text);
}

/** The same for decoded HTML. */
export function readHtmlText(text: string): Extracted {
  const page = new Page();
  readTags(text, false, page);
  return page.end();
}

class Page implements TagHandler {
  readonly #outline = new Outline();
  readonly #metadata: Record<string, string> = {};
  #lines = new LineBuilder((text) => this.#outline.add(text));
  #title: string[] | undefined;
  #isInTitle = false;
  #heading: { readonly level: number; readonly texts: string[]; length: number } | undefined;
  #firstHeading: string | undefined;
  /** The element that is being dropped, and its nesting depth. */
  #dropped: { readonly name: string; depth: number } | undefined;
  #verbatim = 0;

  open(name: string, attributes: Attributes): void {
    if (this.#dropped) {
      if (name === this.#dropped.name) this.#dropped.depth += 1;
      return;
    }
    if (DROPPED.has(name)) this.#dropped = { name, depth: 1 };
    else if (name === 'title' && this.#title === undefined) {
      this.#title = [];
      this.#isInTitle = true;
    } else if (/^h[1-6]$/.test(name)) this.#openHeading(Number(name[1]));
    else if (name === 'meta') this.#meta(attributes);
    else if (name === 'html') this.#keep('lang', attributes.get('lang') ?? attributes.get('xml:lang'));
    else if (name === 'img') this.text(` ${attributes.get('alt') ?? ''} `);
    else if (name === 'pre') this.#verbatim += 1;
    this.#flowAround(name);
    if (name === 'td' || name === 'th') this.#lines.cell();
  }

  close(name: string): void {
    if (this.#dropped) {
      if (name === this.#dropped.name) this.#dropped.depth -= 1;
      if (this.#dropped.depth === 0) this.#dropped = undefined;
      return;
    }
    if (name === 'title') this.#isInTitle = false;
    else if (name === 'pre') this.#verbatim = Math.max(0, this.#verbatim - 1);
    else if (/^h[1-6]$/.test(name)) this.#closeHeading();
    this.#flowAround(name);
  }

  text(text: string): void {
    if (this.#dropped) return;
    if (this.#isInTitle) {
      this.#title?.push(text);
      return;
    }
    if (this.#verbatim > 0) this.#lines.verbatim(text);
    else this.#lines.text(text);
    if (this.#heading && this.#heading.length > MAX_HEADING_CHARS) this.#closeHeading();
  }

  end(): Extracted {
    this.#closeHeading();
    const title = this.#title?.join('').trim() || this.#firstHeading;
    return {
      contentType: MIME.html,
      ...(title !== undefined && { title }),
      metadata: this.#metadata,
      sections: this.#outline.sections(),
    };
  }

  #flowAround(name: string): void {
    if (name === 'tr' || name === 'table') this.#lines.row();
    else if (BLOCKS.has(name)) this.#lines.break();
  }

  #openHeading(level: number): void {
    this.#closeHeading();
    const heading = { level, texts: [] as string[], length: 0 };
    this.#heading = heading;
    this.#lines = new LineBuilder((text) => {
      heading.texts.push(text);
      heading.length += text.length;
    });
  }

  #closeHeading(): void {
    if (!this.#heading) return;
    const { level, texts } = this.#heading;
    const title = texts.join('');
    if (title !== '') {
      this.#outline.heading(level, title);
      this.#firstHeading ??= title;
    }
    this.#heading = undefined;
    this.#lines = new LineBuilder((text) => this.#outline.add(text));
  }

  #meta(attributes: Attributes): void {
    const name = attributes.get('name') ?? attributes.get('property') ?? '';
    const field = META_FIELDS.get(name.toLowerCase());
    if (field !== undefined) this.#keep(field, attributes.get('content'));
  }

  /** The first value is kept. */
  #keep(field: string, value: string | undefined): void {
    if (value !== undefined && value.trim() !== '') this.#metadata[field] ??= value;
  }
}
