// How commands print: lines, JSON, tables and a progress bar that is drawn on terminals only.
// Results go to standard output, everything about them to standard error.
import { systemClock } from '../clock.ts';

export const out = (line: string): void => void process.stdout.write(`${line}\n`);
export const say = (line: string): void => void process.stderr.write(`${line}\n`);
export const json = (value: unknown): void => out(JSON.stringify(value));

export interface Bar {
  update(done: number, total: number): void;
  /** Leaves the last state standing. */
  end(): void;
}

const WIDTH = 30;
const REDRAW_MS = 100;
const LINE_MS = 2000;

/** A bar on a terminal, a plain line every two seconds elsewhere. */
export function bar(label: string, screen: NodeJS.WriteStream = process.stderr): Bar {
  let last = { done: 0, total: 0 };
  let drawnAt = systemClock.monotonic();
  let isDrawn = false;
  const draw = (): void => {
    const { done, total } = last;
    const filled = total === 0 ? 0 : Math.round((done / total) * WIDTH);
    if (screen.isTTY)
      screen.write(`\r\u001b[K${label} [${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}] ${done}/${total}`);
    else screen.write(`${label} ${done}/${total}\n`);
    isDrawn = true;
    drawnAt = systemClock.monotonic();
  };
  return {
    update(done, total) {
      last = { done, total };
      if (systemClock.monotonic() - drawnAt >= (screen.isTTY ? REDRAW_MS : LINE_MS)) draw();
    },
    end() {
      if (!isDrawn && last.total === 0) return;
      if (screen.isTTY) draw();
      if (screen.isTTY) screen.write('\n');
    },
  };
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

/** 90 s, 15 min, 3 h: one unit, no more precise than anybody needs. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

export const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
