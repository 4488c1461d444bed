// Units: durations and sizes as text, such as 15m and 64MiB.

type Units = Readonly<Record<string, number>>;

const DURATIONS: Units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZES: Units = { B: 1, KiB: 1024, MiB: 1_048_576, GiB: 1_073_741_824 };

/**
 * Milliseconds of a text such as `500ms`, `90s`, `15m`, `2h` or `30d`; a number without a unit is milliseconds.
 * @throws Error whose message states what the text must be
 */
export function parseDuration(text: string): number {
  const ms = parse(text, DURATIONS);
  if (ms === undefined) throw new Error('must be a whole number and a unit (ms, s, m, h or d), such as 90s or 15m');
  if (!Number.isSafeInteger(ms)) throw new Error('must be a shorter duration, such as 90s or 15m');
  return ms;
}

/**
 * Bytes of a text such as `512B`, `10KiB`, `64MiB` or `1GiB`; a number without a unit is bytes.
 * @throws Error whose message states what the text must be
 */
export function parseSize(text: string): number {
  if (/^\d+ ?[kKmMgG][bB]?$/.test(text))
    throw new Error('must use KiB, MiB or GiB as its unit, such as 10KiB or 64MiB');
  const bytes = parse(text, SIZES);
  if (bytes === undefined) throw new Error('must be a whole number and a unit (B, KiB, MiB or GiB), such as 64MiB');
  if (!Number.isSafeInteger(bytes)) throw new Error('must be a smaller size, such as 64MiB');
  return bytes;
}

function parse(text: string, units: Units): number | undefined {
  const [, count, unit = ''] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = unit === '' ? 1 : Object.hasOwn(units, unit) ? units[unit] : undefined;
  return count === undefined || factor === undefined ? undefined : Number(count) * factor;
}

/** The exact duration in the largest unit that divides it. `ms` is a whole number. */
export const formatDuration = (ms: number): string => format(ms, DURATIONS, 'ms');

/** The exact size in the largest unit that divides it. `bytes` is a whole number. */
export const formatSize = (bytes: number): string => format(bytes, SIZES, 'B');

function format(value: number, units: Units, smallest: string): string {
  const [unit = smallest, factor = 1] =
    Object.entries(units).findLast(([, each]) => value !== 0 && value % each === 0) ?? [];
  return `${value / factor}${unit}`;
}

/** A measured duration, rounded: 90s, 15m, 3h, 4d. */
export function approximateDuration(ms: number): string {
  const rounded = (unit: string): string => `${Math.round(ms / (DURATIONS[unit] ?? 1))}${unit}`;
  if (Math.round(ms) < 1000) return rounded('ms');
  if (ms < 120_000) return rounded('s');
  if (ms < 7_200_000) return rounded('m');
  return rounded(ms < 172_800_000 ? 'h' : 'd');
}

/** A measured size, rounded: 512B, 3.5MiB, 20MiB. */
export function approximateSize(bytes: number): string {
  const [unit, factor] = Object.entries(SIZES).findLast(([, each]) => bytes >= each) ?? ['B', 1];
  const value = bytes / factor;
  return `${value < 10 && factor > 1 ? Number(value.toFixed(1)) : Math.round(value)}${unit}`;
}
