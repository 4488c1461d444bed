// Tables: rows under a header. They fit 80 columns, unless `--wide` asks for every column in full.
import { regionOf } from '../runtime/key-arn.ts';
import { broken, oneLine, printLine, toned, type Line, type Tone } from './terminal.ts';

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** The only form of the table that has the column; both have it, if not given. */
  readonly only?: 'narrow' | 'wide';
  /** Where a text is cut if the table would be too wide. The wide form has the whole text. */
  readonly cut?: 'middle' | 'end';
  /** Continues on the next lines if the table would be too wide. For the last column only. */
  readonly wraps?: true;
  readonly alignsRight?: true;
}

export interface TablePrinter<Row> {
  add(row: Row): void;
  /** Prints the rows that have not been printed. */
  flush(): void;
}

export const COLUMNS = 80;
const GAP = '  ';
const INDENT = '    ';
/** A cut text has at least this many characters. */
const MIN_CUT = 6;
/** A text that would wrap in fewer columns is easier to read below its row. */
const MIN_WRAP = 30;
/** How many rows share the width of their columns. */
const CHUNK_ROWS = 500;

const charsOf = (text: string): number => Array.from(text).length;

/** The header and a line for each row, or more where a column wraps. No rows, no lines. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[], isWide: boolean): string[] {
  if (rows.length === 0) return [];
  const shown = columns.filter(({ only }) => only === undefined || only === (isWide ? 'wide' : 'narrow'));
  const cells = rows.map((row) => shown.map(({ text }) => oneLine(text(row))));
  const all = [shown.map(({ title }) => title), ...cells];
  const widths = shown.map((_, at) => Math.max(...all.map((row) => charsOf(row[at]!))));
  if (isWide) return all.map((row) => lineOf(shown, row, widths));
  const wrapping = shown.at(-1)?.wraps ? widths.pop()! : undefined;
  const fitted = fit(shown, widths);
  const room = COLUMNS - fitted.reduce((sum, width) => sum + width + GAP.length, 0);
  return all.flatMap((row, at) => {
    const line = lineOf(shown, row.slice(0, fitted.length), fitted);
    const text = row[fitted.length];
    if (wrapping === undefined || text === undefined || text === '') return [line];
    if (room < Math.min(wrapping, MIN_WRAP))
      return [line, ...(at === 0 ? [] : broken(text, COLUMNS - INDENT.length).map((part) => `${INDENT}${part}`))];
    return hanging(`${padded(shown, row.slice(0, fitted.length), fitted)}${GAP}`, text);
  });
}

/** Prints a table as it grows, a chunk of rows at a time, so that a long list needs little memory. */
export function createTablePrinter<Row>(columns: readonly Column<Row>[], isWide: boolean): TablePrinter<Row> {
  let rows: Row[] = [];
  let isBegun = false;
  const flush = (): void => {
    for (const line of tableLines(columns, rows, isWide).slice(isBegun ? 1 : 0)) printLine(line);
    isBegun ||= rows.length > 0;
    rows = [];
  };
  return {
    add(row) {
      rows.push(row);
      if (rows.length === CHUNK_ROWS) flush();
    },
    flush,
  };
}

/** Name, value, and the tone of a value that needs action. */
export type Fact = readonly [string, string | number | undefined, tone?: Tone | undefined];

/** The facts that have a value, one below the other. A value continues on the next lines, and is never cut. */
export function factLines(facts: readonly Fact[], columns = COLUMNS): Line[] {
  const known = facts.filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...known.map(([name]) => name.length));
  return known.flatMap(([name, value, tone]) =>
    hanging(`${name.padEnd(width)}${GAP}`, String(value), columns).map((line) => toned(line.trimEnd(), tone)),
  );
}

/** The text after its prefix; continuation lines are aligned with the text. */
export function hanging(prefix: string, text: string, columns = COLUMNS): string[] {
  const [first = '', ...rest] = broken(text, columns - prefix.length);
  return [`${prefix}${first}`, ...rest.map((part) => `${' '.repeat(prefix.length)}${part}`)];
}

/** Short names of the KMS keys of one table: as many characters of the key ids as are needed to distinguish them. */
export function keyNames(arns: Iterable<string>): (arn: string) => string {
  const all = [...new Set(arns)];
  const idOf = (arn: string): string => arn.slice(arn.lastIndexOf('/') + 1);
  const forms = [9, 14, 24, 36].map((chars) => (arn: string) => cutAt(idOf(arn), chars));
  // The replicas of a multi-Region key have the same id.
  const inRegion = (arn: string): string => `${regionOf(arn)}/${idOf(arn)}`;
  return [...forms, inRegion].find((name) => new Set(all.map(name)).size === all.length) ?? String;
}

/** Column widths that fit the terminal: the widest text is cut first. */
function fit<Row>(columns: readonly Column<Row>[], widths: readonly number[]): number[] {
  const fitted = [...widths];
  const isTooWide = (): boolean => fitted.reduce((sum, width) => sum + width + GAP.length, -GAP.length) > COLUMNS;
  const canCut = fitted.map((width, at) => (columns[at]!.cut === undefined ? 0 : width - MIN_CUT));
  while (isTooWide()) {
    const widest = Math.max(...fitted.filter((_, at) => canCut[at]! > 0));
    const at = fitted.findIndex((width, index) => width === widest && canCut[index]! > 0);
    if (at < 0) break;
    fitted[at]! -= 1;
    canCut[at]! -= 1;
  }
  return fitted;
}

function lineOf<Row>(columns: readonly Column<Row>[], cells: readonly string[], widths: readonly number[]): string {
  return padded(columns, cells, widths).trimEnd();
}

function padded<Row>(columns: readonly Column<Row>[], cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, at) => {
      const { cut, alignsRight } = columns[at]!;
      const width = widths[at]!;
      const text = cut === undefined ? cell : cutAt(cell, width, cut);
      const space = ' '.repeat(Math.max(0, width - charsOf(text)));
      return alignsRight ? `${space}${text}` : `${text}${space}`;
    })
    .join(GAP);
}

/** The text in at most `width` characters. */
function cutAt(text: string, width: number, where: 'middle' | 'end' = 'end'): string {
  const chars = Array.from(text);
  if (chars.length <= width) return text;
  const tail = where === 'end' ? 0 : Math.floor((width - 1) / 2);
  return [...chars.slice(0, width - 1 - tail), '…', ...chars.slice(chars.length - tail)].join('');
}
