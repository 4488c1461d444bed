// Tag stream: reports the tags and texts of HTML and XML in order. Without a stack, so that depth and unclosed tags cost nothing:
// the parser of htmlparser2 searches its stack at every tag.
import { QuoteType, Tokenizer, type TokenizerCallbacks } from 'htmlparser2';

/** Further attributes of a tag are ignored. */
const MAX_ATTRIBUTES = 50;

export type Attributes = ReadonlyMap<string, string>;

export interface TagHandler {
  /** `name` in lower case for HTML; `isClosed` for `<name/>`, in XML only. */
  open(name: string, attributes: Attributes, isClosed: boolean): void;
  close(name: string): void;
  /** With entities decoded; one text may be passed in pieces. */
  text(text: string): void;
}

export function readTags(text: string, isXml: boolean, handler: TagHandler): void {
  const tokenizer = new Tokenizer({ xmlMode: isXml, decodeEntities: true }, new Tokens(text, isXml, handler));
  tokenizer.write(text);
  tokenizer.end();
}

class Tokens implements TokenizerCallbacks {
  readonly #source: string;
  readonly #isXml: boolean;
  readonly #handler: TagHandler;
  #tag = '';
  #attributes = new Map<string, string>();
  #attribute = '';
  #value: string[] = [];

  constructor(source: string, isXml: boolean, handler: TagHandler) {
    this.#source = source;
    this.#isXml = isXml;
    this.#handler = handler;
  }

  #name(start: number, end: number): string {
    const name = this.#source.slice(start, end);
    return this.#isXml ? name : name.toLowerCase();
  }

  ontext(start: number, end: number): void {
    this.#handler.text(this.#source.slice(start, end));
  }

  ontextentity(code: number): void {
    this.#handler.text(String.fromCodePoint(code));
  }

  oncdata(start: number, end: number, offset: number): void {
    if (this.#isXml) this.#handler.text(this.#source.slice(start, end - offset));
  }

  onopentagname(start: number, end: number): void {
    this.#tag = this.#name(start, end);
    this.#attributes = new Map();
  }

  onattribname(start: number, end: number): void {
    this.#attribute = this.#name(start, end);
    this.#value = [];
  }

  onattribdata(start: number, end: number): void {
    this.#value.push(this.#source.slice(start, end));
  }

  onattribentity(code: number): void {
    this.#value.push(String.fromCodePoint(code));
  }

  onattribend(quote: QuoteType): void {
    const isKept = this.#attributes.size < MAX_ATTRIBUTES && !this.#attributes.has(this.#attribute);
    if (isKept && quote !== QuoteType.NoValue) this.#attributes.set(this.#attribute, this.#value.join(''));
  }

  onopentagend(): void {
    this.#handler.open(this.#tag, this.#attributes, false);
  }

  onselfclosingtag(): void {
    this.#handler.open(this.#tag, this.#attributes, this.#isXml);
  }

  onclosetag(start: number, end: number): void {
    this.#handler.close(this.#name(start, end));
  }

  oncomment(): void {}

  ondeclaration(): void {}

  onprocessinginstruction(): void {}

  onend(): void {}
}
