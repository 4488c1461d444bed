// Searches the memory of its own process for bytes that it does not hold itself: needles are masked.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

export const MEMORY = '/proc/self/mem';

const MASK = 0x5a;

/**
 * Each byte changed; applying it twice restores the original. The result can be held while memory is searched for the
 * original.
 */
export const masked = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes, (byte) => byte ^ MASK);

/** Long enough to match almost nothing by chance, too short to be the needle. */
const PREFIX_BYTES = 4;
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Occurrences of each needle in the readable memory of this process. */
export function countInMemory(needles: readonly Uint8Array[]): number[] {
  const counts = needles.map(() => 0);
  const step = WINDOW_BYTES - Math.max(...needles.map((needle) => needle.length));
  const window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
  const memory = openSync(MEMORY, 'r');
  try {
    for (const [start, end] of readableRegions()) {
      // Windows overlap, so that no match is cut in two; a match that begins in the overlap is counted in the next window.
      for (let at = start; at < end; at += step) {
        const bytes = readAt(memory, window, at, Math.min(WINDOW_BYTES, end - at));
        for (const [index, needle] of needles.entries())
          counts[index]! += countIn(window.subarray(0, bytes), needle, step);
        // The window itself is memory of this process too.
        window.fill(0, 0, bytes);
      }
    }
  } finally {
    closeSync(memory);
  }
  return counts;
}

function* readableRegions(): Generator<[number, number]> {
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
    // Mappings of the kernel cannot be read and contain no data of the process.
    if (start === undefined || end === undefined || name?.startsWith('[v')) continue;
    yield [Number.parseInt(start, 16), Number.parseInt(end, 16)];
  }
}

/** Continues where the kernel stops early; unreadable pages are left out. */
function readAt(memory: number, window: Buffer, at: number, length: number): number {
  let bytes = 0;
  try {
    while (bytes < length) {
      const more = readSync(memory, window, bytes, length - bytes, at + bytes);
      if (more === 0) break;
      bytes += more;
    }
  } catch {
    // Some mappings are unreadable for every process.
  }
  return bytes;
}

function countIn(bytes: Buffer, needle: Uint8Array, before: number): number {
  const prefix = masked(needle.subarray(0, PREFIX_BYTES));
  let found = 0;
  for (let at = bytes.indexOf(prefix); at !== -1 && at < before; at = bytes.indexOf(prefix, at + 1)) {
    if (needle.every((byte, index) => bytes[at + index] === (byte ^ MASK))) found += 1;
  }
  return found;
}
