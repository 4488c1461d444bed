// Terminal output: lines, JSON, and a progress bar on terminals. Results go to standard output, notices to standard error.
import { styleText } from 'node:util';
import { systemClock, type Clock } from '../runtime/clock.ts';
import { stringifyBig } from '../runtime/json.ts';
import { approximateDuration } from '../runtime/units.ts';
import { host, type Output } from './host.ts';

/** Tone of a line that needs action. */
export type Tone = 'warn' | 'fail';

/** A line that is colored on a terminal if it has a tone. */
export type Line = string | { readonly text: string; readonly tone: Tone };

export const toned = (text: string, tone: Tone | undefined): Line => (tone === undefined ? text : { text, tone });

export const printLine = (line: Line): void => write(host().stdout, line);
export const printNotice = (line: Line): void => write(host().stderr, line);

/** The text of a line without colors. */
export const textOfLine = (line: Line): string => (typeof line === 'string' ? line : line.text);

/** Escapes DEL and the C1 controls, which JSON does not escape and terminals interpret. */
export const jsonText = (value: unknown, indent?: number): string =>
  stringifyBig(value, indent).replaceAll(
    /(?!\n)\p{Cc}/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

export const printJson = (value: unknown): void => printLine(jsonText(value));

/** The progress bar on the terminal's last line; every printed line clears it first. */
let standing: { clear(): void } | undefined;

/** Text without terminal control sequences: documents, ids and titles may contain any characters. */
export const printable = (text: string): string =>
  text.replaceAll('\r\n', '\n').replaceAll(/(?![\n\t])\p{Cc}/gu, '\uFFFD');

const COLORS = { warn: 'yellow', fail: 'red' } as const satisfies Record<Tone, string>;

/** See https://no-color.org. */
function isColored(stream: Output): boolean {
  const { NO_COLOR = '', TERM } = host().env;
  return stream.isTTY === true && NO_COLOR === '' && TERM !== 'dumb';
}

function write(stream: Output, line: Line): void {
  standing?.clear();
  const text = stream.isTTY ? printable(textOfLine(line)) : textOfLine(line);
  const isPlain = typeof line === 'string' || !isColored(stream);
  stream.write(`${isPlain ? text : styleText(COLORS[line.tone], text, { validateStream: false })}\n`);
}

/** Text without line breaks and control sequences. */
export const oneLine = (text: string): string => printable(text.replaceAll(/\s+/g, ' '));

/** `1 job`, `2 jobs`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** A command that ends a text is one word, to be copied. */
const WORDS = /( *)((?<=: )(?:aws|npm|sealdex) .*|\S+)/g;

/** Wraps a text between words. A word longer than the line is not broken. */
export function broken(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const [, gap = '', word = ''] of text.matchAll(WORDS)) {
    const longer = `${lines.at(-1) ?? ''}${gap}${word}`;
    if (lines.length === 0 || longer.length > columns) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

/** The same as one text; continuation lines have the indentation of the line. */
export function wrapped(line: string, columns: number): string {
  const indent = /^ */.exec(line)?.[0] ?? '';
  return broken(line, columns - indent.length)
    .map((each) => `${indent}${each}`)
    .join('\n');
}

export interface ProgressBar {
  update(done: number, total: number): void;
  /** Keeps the last state on the terminal. */
  end(): void;
}

export interface ProgressBarOptions {
  readonly screen?: Pick<Output, 'isTTY' | 'columns' | 'write'>;
  readonly clock?: Clock;
  /** Text after the bar; `done/total` by default. */
  readonly countsOf?: (done: number, total: number) => string;
}

const WIDTH = 30;
const COLUMNS = 80;
const REDRAW_MS = 100;
const LINE_MS = 2000;

/** A bar on a terminal; elsewhere a plain line at most every two seconds, if the count has changed. */
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
  let shownDone = 0;
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
    shownDone = last.done;
    shownAt = clock.monotonic();
    standing = isDrawn ? line : undefined;
  };
  return {
    update(done, total) {
      last = { done, total };
      const isWiped = isDrawn && shown === '';
      if (!isDrawn && done === shownDone) return;
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

/** A bar that fits the terminal: one that wraps could not be cleared. */
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

/** ISO 8601 in UTC, to the second. */
export const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** How long ago a time was. */
export const age = (ms: number): string => approximateDuration(Math.max(0, systemClock.now() - ms));

/** A time, and how long ago it was. */
export const timeAndAge = (ms: number): string => `${time(ms)} (${age(ms)} ago)`;
