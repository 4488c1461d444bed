// The characters of a Word 97-2003 file in order -> its lines, without what was struck out and without the codes of fields.
import type { Paragraph, Piece, Run } from './doc-pieces.ts';

export interface Line {
  readonly text: string;
  /** Of a heading, 1 to 9; 0 for other text. */
  readonly level: number;
}

const FIELD = '\x13';
const FIELD_RESULT = '\x14';
const FIELD_END = '\x15';

const WESTERN = new TextDecoder('windows-1252');

const decode = (bytes: Buffer, isWide: boolean): string => (isWide ? bytes.toString('utf16le') : WESTERN.decode(bytes));

/** @param length characters to read, from the first; what follows them is footnotes and the like */
export function linesOf(
  stream: Buffer,
  pieces: readonly Piece[],
  struck: readonly Run[],
  paragraphs: readonly Paragraph[],
  { from, length }: { readonly from: number; readonly length: number },
): Line[] {
  const lines = new Lines(paragraphs.some(({ isRowEnd }) => isRowEnd));
  const gone = inOrder(struck);
  const noted = inOrder(paragraphs);
  let skip = from;
  let left = length;
  for (const piece of pieces) {
    const begins = Math.min(skip, piece.length);
    const taken = Math.min(piece.length - begins, left);
    skip -= begins;
    left -= taken;
    const unit = piece.isWide ? 2 : 1;
    for (const { run, paragraph } of cutBy(noted, {
      from: piece.at + begins * unit,
      to: piece.at + (begins + taken) * unit,
    })) {
      lines.paragraph = paragraph;
      for (const kept of without(gone, run)) lines.add(decode(stream.subarray(kept.from, kept.to), piece.isWide));
    }
  }
  return lines.end();
}

/** Sorted, each without what one before it has: a file could lay any number of them on top of each other. */
function inOrder<T extends Run>(runs: readonly T[]): T[] {
  const kept: T[] = [];
  let end = 0;
  for (const run of runs.toSorted((a, b) => a.from - b.from)) {
    const from = Math.max(run.from, end);
    if (run.to <= from) continue;
    kept.push({ ...run, from });
    end = run.to;
  }
  return kept;
}

/** The first of sorted runs that ends behind `at`. */
function firstEndingAfter(runs: readonly Run[], at: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.to ?? 0) > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** `run` in pieces, each with the paragraph that it is of, if that is a noted one. */
function* cutBy(noted: readonly Paragraph[], run: Run): Generator<{ run: Run; paragraph?: Paragraph }> {
  let at = run.from;
  for (let next = firstEndingAfter(noted, at); at < run.to; next += 1) {
    const paragraph = noted[next];
    if (!paragraph || paragraph.from >= run.to) {
      yield { run: { from: at, to: run.to } };
      return;
    }
    if (paragraph.from > at) yield { run: { from: at, to: paragraph.from } };
    const end = Math.min(paragraph.to, run.to);
    const start = Math.max(at, paragraph.from);
    if (end > start) yield { run: { from: start, to: end }, paragraph };
    at = Math.max(at, end);
  }
}

function* without(gone: readonly Run[], run: Run): Generator<Run> {
  let at = run.from;
  for (let next = firstEndingAfter(gone, at); at < run.to; next += 1) {
    const hole = gone[next];
    if (!hole || hole.from >= run.to) {
      yield { from: at, to: run.to };
      return;
    }
    if (hole.from > at) yield { from: at, to: hole.from };
    at = Math.max(at, hole.to);
  }
}

/** Line by line; a field is its result, and its code is left out. */
class Lines {
  /** What the next text is of, if that is a heading or the end of a row. */
  paragraph: Paragraph | undefined;
  readonly #knowsRows: boolean;
  readonly #lines: Line[] = [];
  #texts: string[] = [];
  /** The fields that are open: whether their code is being read. */
  readonly #fields: boolean[] = [];
  #codes = 0;

  constructor(knowsRows: boolean) {
    this.#knowsRows = knowsRows;
  }

  add(text: string): void {
    // oxlint-disable-next-line no-control-regex
    for (const piece of text.split(/([\r\v\f\x07\x13-\x15])/)) {
      if (piece === FIELD) this.#open();
      else if (piece === FIELD_RESULT) this.#result();
      else if (piece === FIELD_END) this.#close();
      else if (this.#codes > 0) continue;
      else if (piece === '\x07') this.#cell();
      else if (/^[\r\v\f]$/.test(piece)) this.#endLine();
      else if (piece !== '') this.#texts.push(piece.replaceAll('\x1e', '-').replaceAll('\x1f', ''));
    }
  }

  end(): Line[] {
    this.#endLine();
    return this.#lines;
  }

  #open(): void {
    this.#fields.push(true);
    this.#codes += 1;
  }

  #result(): void {
    if (this.#fields.at(-1) !== true) return;
    this.#fields[this.#fields.length - 1] = false;
    this.#codes -= 1;
  }

  #close(): void {
    if (this.#fields.pop() === true) this.#codes -= 1;
  }

  /** A cell ends; where ends of rows are not marked as such, one that is empty ends the row. */
  #cell(): void {
    const isRowEnd = this.#knowsRows
      ? this.paragraph?.isRowEnd === true
      : this.#texts.length === 0 || this.#texts.at(-1) === '\t';
    if (isRowEnd) this.#endLine();
    else this.#texts.push('\t');
  }

  #endLine(): void {
    const text = this.#texts.join('').trimEnd();
    if (text.trim() !== '') this.#lines.push({ text, level: this.paragraph?.level ?? 0 });
    this.#texts = [];
  }
}
