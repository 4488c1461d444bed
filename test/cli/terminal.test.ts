// Terminal output: the progress bar on terminals of any kind, times, and text from tenants.
import { describe, expect, test } from 'vitest';
import {
  progressBar,
  jsonText,
  oneLine,
  printLine,
  printable,
  printNotice,
  time,
  wrapped,
} from '../../src/cli/terminal.ts';
import { FakeClock } from '../support/clock.ts';

/** Collects output; `line()` is the last line on the terminal. */
function screenOf(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  return {
    isTTY,
    columns: columns as number,
    write: (text: string | Uint8Array) => written.push(String(text)) > 0,
    written,
    line: () => written.join('').split('\u001b[K').at(-1) ?? '',
  };
}

const FULL = '█'.repeat(30);

describe('the progress bar', () => {
  test('is redrawn in place on a terminal, at most ten times a second, and its end remains', () => {
    const clock = new FakeClock();
    const screen = screenOf(true, 80);
    const progress = progressBar('stored', { screen, clock });
    progress.update(0, 4);
    const first = screen.written.length;
    expect(screen.line()).toBe(`stored [${'░'.repeat(30)}] 0/4`);
    progress.update(1, 4);
    expect(screen.written.length).toBe(first);
    clock.advance(100);
    progress.update(2, 4);
    expect(screen.line()).toBe(`stored [${'█'.repeat(15)}${'░'.repeat(15)}] 2/4`);
    expect(screen.written.join('')).not.toContain('\n');
    progress.update(4, 4);
    progress.end();
    expect(screen.line()).toBe(`stored [${FULL}] 4/4\n`);
    const done = screen.written.length;
    progress.end();
    expect(screen.written.length).toBe(done);
  });

  test('is full only when all is done', () => {
    const screen = screenOf(true, 80);
    const progress = progressBar('stored', { screen, clock: new FakeClock() });
    progress.update(9999, 10_000);
    expect(screen.line()).toBe(`stored [${'█'.repeat(29)}░] 9999/10000`);
  });

  test('is a plain line every two seconds without a terminal', () => {
    const clock = new FakeClock();
    const screen = screenOf(false);
    const progress = progressBar('stored', { screen, clock });
    for (let done = 0; done < 50; done++) {
      progress.update(done, 50);
      clock.advance(100);
    }
    progress.end();
    expect(screen.written).toEqual(['stored 20/50\n', 'stored 40/50\n']);
  });

  test('is not repeated without a terminal while the count stays the same', () => {
    const clock = new FakeClock();
    const screen = screenOf(false);
    const progress = progressBar('finished', { screen, clock });
    for (const done of [0, 0, 1, 1, 1, 2]) {
      clock.advance(2500);
      progress.update(done, 3);
    }
    progress.end();
    expect(screen.written).toEqual(['finished 1/3\n', 'finished 2/3\n']);
  });

  test.each([[60], [40], [24], [12], [5]])('never wraps at %s columns', (columns) => {
    const clock = new FakeClock();
    const screen = screenOf(true, columns);
    const progress = progressBar('Indexing', { screen, clock });
    progress.update(123_456, 999_999);
    expect(screen.line().length).toBeLessThan(columns);
    expect(screen.line().length).toBeGreaterThan(0);
    progress.end();
  });

  test('is erased before another line is printed, and redrawn at the next update', () => {
    const screen = screenOf(true, 80);
    const progress = progressBar('stored', { screen, clock: new FakeClock() });
    progress.update(1, 2);
    expect(screen.line()).not.toBe('');
    captured(() => printNotice('dead  j1'));
    expect(screen.line()).toBe('');
    progress.update(1, 2);
    expect(screen.line()).toContain('1/2');
    captured(() => printLine('queued  j2'));
    expect(screen.line()).toBe('');
    progress.end();
  });

  test('writes nothing if there is nothing to show', () => {
    const screen = screenOf(true, 80);
    progressBar('stored', { screen, clock: new FakeClock() }).end();
    expect(screen.written).toEqual([]);
  });
});

/** The output to standard output and error during `work`. */
function captured(work: () => void): string {
  const written: string[] = [];
  const streams = [process.stdout, process.stderr];
  const own = streams.map((stream) => Object.getOwnPropertyDescriptor(stream, 'write'));
  for (const stream of streams) {
    Object.defineProperty(stream, 'write', {
      configurable: true,
      writable: true,
      value: (text: string) => written.push(text) > 0,
    });
  }
  try {
    work();
  } finally {
    for (const [index, stream] of streams.entries()) {
      const before = own[index];
      if (before) Object.defineProperty(stream, 'write', before);
      else Reflect.deleteProperty(stream, 'write');
    }
  }
  return written.join('');
}

describe('text from a tenant', () => {
  test('cannot command a terminal', () => {
    expect(printable('a\u001b[2Jb\u009b31mc\u0007\u007f')).toBe('a\uFFFD[2Jb\uFFFD31mc\uFFFD\uFFFD');
    expect(printable('lines\r\nand\ttabs\nstay, é 漢 🙂 too')).toBe('lines\nand\ttabs\nstay, é 漢 🙂 too');
  });

  test('is printed on one line', () => {
    expect(oneLine('a\nb\r\n\tc\u2028d\u001b')).toBe('a b c d\uFFFD');
  });

  test('is complete as JSON, with control characters escaped', () => {
    const text = '\u001b\u007f\u0080\u009f é\n';
    expect(jsonText({ text })).toBe(String.raw`{"text":"\u001b\u007f\u0080\u009f é\n"}`);
    expect(JSON.parse(jsonText({ text }, 2))).toEqual({ text });
  });
});

test('a time is printed in UTC to the second', () => {
  expect(time(Date.UTC(2026, 10, 23, 12, 5, 9, 123))).toBe('2026-11-23T12:05:09Z');
});

test('a command at the end of a line is not broken', () => {
  expect(wrapped('    Full policy: sealdex policy worker', 24)).toBe('    Full policy:\n    sealdex policy worker');
});

test('a long line is broken between words, and continuation lines keep its indent', () => {
  expect(wrapped('  one two three', 9)).toBe('  one two\n  three');
  expect(wrapped('short', 80)).toBe('short');
  expect(wrapped('', 80)).toBe('');
  expect(wrapped('unbreakable', 4)).toBe('unbreakable');
  expect(wrapped('key  by worker', 8)).toBe('key  by\nworker');
});
