// Text of a Word 97-2003 file: converts its characters to lines, without deleted text and without field codes.
import type { Paragraph, Piece, Run } from './doc-pieces.ts';

export interface Line {
  readonly text: string;
  /** Heading level, 1 to 9; 0 for other text. */
  readonly level: number;
}

const FIELD = '\x13';
const FIELD_RESULT = '\x14';
const FIELD_END = '\x15';

const WESTERN = new TextDecoder('windows-1252');

const decode = (bytes: Buffer, isWide: boolean): string => (isWide ? bytes.toString('utf16le') : WESTERN.decode(bytes));

/** @param length number of characters to read from the start; footnotes and similar texts follow them */
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

/** Sorts runs and drops overlaps: a hostile file could have any number of overlapping runs. */
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

/** Index of the first of the sorted runs that ends after `at`. */
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

/** Cuts `run` into pieces, each with its paragraph if that is in `noted`. */
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

/** Collects lines. Of a field the result is kept, and the code is dropped. */
class Lines {
  /** Paragraph of the next text, if it is a heading or the end of a row. */
  paragraph: Paragraph | undefined;
  readonly #hasRowMarks: boolean;
  readonly #lines: Line[] = [];
  #texts: string[] = [];
  /** Open fields: true while the field code is being read. */
  readonly #fields: boolean[] = [];
  #codes = 0;

  constructor(hasRowMarks: boolean) {
    this.#hasRowMarks = hasRowMarks;
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

  /** Ends a cell. If the file does not mark the ends of rows, an empty cell ends the row. */
  #cell(): void {
    const isRowEnd = this.#hasRowMarks
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
