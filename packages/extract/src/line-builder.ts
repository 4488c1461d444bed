// Line builder: joins pieces of marked-up text into lines. White space collapses, blocks begin a line, tabs separate cells.

export class LineBuilder {
  readonly #write: (text: string) => void;
  #isEmpty = true;
  /** Separators before the next text. */
  #hasRowBreak = false;
  #hasBreak = false;
  #space: '' | ' ' | '\u00a0' = '';
  #tabs = 0;
  #isInRow = false;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Call before text that begins a line. */
  break(): void {
    if (this.#tabs === 0) this.#hasBreak = true;
  }

  /** Call before a cell that begins a row, and at the end of a table. */
  row(): void {
    this.#hasRowBreak = true;
    this.#hasBreak = false;
    this.#tabs = 0;
    this.#isInRow = false;
  }

  cell(): void {
    if (this.#isInRow) {
      this.#tabs += 1;
      this.#hasBreak = false;
    }
    this.#isInRow = true;
  }

  text(text: string): void {
    const inner = text.replace(/[ \t\n\f\r]+/g, ' ');
    if (inner.trim() === '') {
      // A non-breaking space is passed alone if it was an entity.
      if (inner !== '' && this.#space !== '\u00a0') this.#space = inner.includes('\u00a0') ? '\u00a0' : ' ';
      return;
    }
    if (inner.startsWith(' ')) this.#space ||= ' ';
    this.#put(inner.slice(inner.startsWith(' ') ? 1 : 0, inner.endsWith(' ') ? -1 : undefined));
    this.#space = inner.endsWith(' ') ? ' ' : '';
  }

  /** Adds text with its white space. */
  verbatim(text: string): void {
    if (text.trim() === '') {
      if (text.includes('\n')) this.break();
      else if (text !== '') this.#space = ' ';
      return;
    }
    this.#put(text);
  }

  #put(text: string): void {
    if (!this.#isEmpty) {
      if (this.#hasBreak || this.#hasRowBreak) this.#write('\n');
      else if (this.#space !== '' && this.#tabs === 0) this.#write(this.#space);
    }
    if (this.#tabs > 0) this.#write('\t'.repeat(this.#tabs));
    this.#write(text);
    this.#isEmpty = false;
    this.#hasBreak = false;
    this.#hasRowBreak = false;
    this.#space = '';
    this.#tabs = 0;
  }
}
