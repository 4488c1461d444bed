// Pieces of marked-up text -> lines: white space collapses, blocks begin a line, cells are a tab apart. Knows no tags.

export class LineBuilder {
  readonly #write: (text: string) => void;
  #isEmpty = true;
  /** What goes in front of the next text. */
  #hasRowBreak = false;
  #hasBreak = false;
  #space: '' | ' ' | '\u00a0' = '';
  #tabs = 0;
  #isInRow = false;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** The next text begins a line. */
  break(): void {
    if (this.#tabs === 0) this.#hasBreak = true;
  }

  /** The next cell begins a row, or the table is over. */
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
      // A space that keeps words together comes alone where it was an entity.
      if (inner !== '' && this.#space !== '\u00a0') this.#space = inner.includes('\u00a0') ? '\u00a0' : ' ';
      return;
    }
    if (inner.startsWith(' ')) this.#space ||= ' ';
    this.#put(inner.slice(inner.startsWith(' ') ? 1 : 0, inner.endsWith(' ') ? -1 : undefined));
    this.#space = inner.endsWith(' ') ? ' ' : '';
  }

  /** Text whose white space counts. */
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
