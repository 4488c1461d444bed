// How commands print: lines, JSON, tables and a progress bar that is drawn on terminals only.
// Results go to standard output, everything about them to standard error.
import { systemClock, type Clock } from '../runtime/clock.ts';
import { stringifyBig } from '../runtime/json.ts';
import { host, type Output } from './host.ts';

export const printLine = (line: string): void => write(host().stdout, line);
export const printNotice = (line: string): void => write(host().stderr, line);

/** JSON leaves DEL and the C1 controls as they are; terminals obey some of them. */
export const jsonText = (value: unknown, indent?: number): string =>
  stringifyBig(value, indent).replaceAll(
    /(?!\n)\p{Cc}/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

export const printJson = (value: unknown): void => printLine(jsonText(value));

/** The bar that stands on the terminal's last line: whatever is printed wipes it first. */
let standing: { clear(): void } | undefined;

/** Text without what a terminal takes for commands: documents, ids and titles are whatever a tenant sent. */
export const printable = (text: string): string =>
  text.replaceAll('\r\n', '\n').replaceAll(/(?![\n\t])\p{Cc}/gu, '\uFFFD');

function write(stream: Output, line: string): void {
  standing?.clear();
  stream.write(`${stream.isTTY ? printable(line) : line}\n`);
}

/** Text that stays on its line, wherever it is printed. */
export const oneLine = (text: string): string => printable(text.replaceAll(/\s+/g, ' '));

/** `1 job`, `2 jobs`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** Broken between words where it would not fit; what continues stands as far in as the line did. */
export function wrapped(line: string, columns: number): string {
  const indent = /^ */.exec(line)?.[0] ?? '';
  const lines: string[] = [];
  let current = '';
  for (const word of line.trim().split(' ')) {
    if (current !== '' && indent.length + current.length + 1 + word.length > columns) {
      lines.push(current);
      current = word;
    } else current = current === '' ? word : `${current} ${word}`;
  }
  return [...lines, current].map((each) => `${indent}${each}`).join('\n');
}

export interface ProgressBar {
  update(done: number, total: number): void;
  /** Leaves the last state standing. */
  end(): void;
}

export interface ProgressBarOptions {
  readonly screen?: Pick<Output, 'isTTY' | 'columns' | 'write'>;
  readonly clock?: Clock;
  /** What stands behind the bar; `done/total` by default. */
  readonly countsOf?: (done: number, total: number) => string;
}

const WIDTH = 30;
const COLUMNS = 80;
const REDRAW_MS = 100;
const LINE_MS = 2000;

/** A bar on a terminal, a plain line every two seconds elsewhere. */
export function progressBar(
  label: string,
  {
    screen = host().stderr,
    clock = systemClock,
    countsOf = (done, total) => `${done}/${total}`,
  }: ProgressBarOptions = {},
): ProgressBar {
  const isDrawn = screen.isTTY && host().env['TERM'] !== 'dumb';
  let last = { done: 0, total: 0 };
  let shown = '';
  let shownAt = clock.monotonic();
  const line = {
    clear(): void {
      if (shown !== '') screen.write('\r\u001b[K');
      shown = '';
      standing = undefined;
    },
  };
  const show = (): void => {
    const counts = countsOf(last.done, last.total);
    const text = isDrawn ? barOf(label, last, counts, screen.columns) : `${label} ${counts}`;
    screen.write(isDrawn ? `\r\u001b[K${text}` : `${text}\n`);
    shown = text;
    shownAt = clock.monotonic();
    standing = isDrawn ? line : undefined;
  };
  return {
    update(done, total) {
      last = { done, total };
      const isWiped = isDrawn && shown === '';
      if (isWiped || clock.monotonic() - shownAt >= (isDrawn ? REDRAW_MS : LINE_MS)) show();
    },
    end() {
      if (!isDrawn || last.total === 0) return;
      show();
      screen.write('\n');
      standing = undefined;
      last = { done: 0, total: 0 };
    },
  };
}

/** One line of the terminal, however narrow: a bar that wraps would not be wiped. */
function barOf(
  label: string,
  { done, total }: { done: number; total: number },
  counts: string,
  columns = COLUMNS,
): string {
  const width = Math.min(WIDTH, columns - label.length - counts.length - '[] '.length - 2);
  if (width < 3) return `${label} ${counts}`.slice(0, Math.max(0, columns - 1));
  const filled = total === 0 ? 0 : Math.min(width, Math.floor((done / total) * width));
  return `${label} [${'█'.repeat(filled)}${'░'.repeat(width - filled)}] ${counts}`;
}

/** Columns as wide as their widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** ISO 8601 in UTC, to the second. */
export const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
