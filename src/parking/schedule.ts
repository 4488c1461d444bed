// Probe schedule: 30 s, doubling to 5 min in the first day, then 15 min (settings), 20 % jitter.
import type { Code } from '../runtime/errors.ts';

export interface ProbeTimes {
  readonly probeMinMs: number;
  readonly probeMaxMs: number;
}

const DAY_MS = 86_400_000;
const JITTER = 0.2;

/** Shorter for a disconnected key store, which may be reconnected at any time. */
const MAX_UNAVAILABLE_MS = 120_000;

/** Delay between a successful probe and the one that confirms it: KMS is eventually consistent. */
const CONFIRM_MS = 5000;

/** Up to a fifth earlier or later. */
const jittered = (ms: number, random: () => number): number => Math.round(ms * (1 - JITTER + 2 * JITTER * random()));

export const firstProbe = ({ probeMinMs }: ProbeTimes, random: () => number = Math.random): number =>
  jittered(probeMinMs, random);

/** Milliseconds to the next probe of a gate with `probes` failed probes that has been shut for `shutMs`. */
export function nextProbe(
  { probeMinMs, probeMaxMs }: ProbeTimes,
  { probes, shutMs, code }: { probes: number; shutMs: number; code: Code },
  random: () => number = Math.random,
): number {
  const maxMs = shutMs < DAY_MS ? Math.max(probeMinMs, probeMaxMs / 3) : probeMaxMs;
  const doubled = Math.min(probeMinMs * 2 ** Math.min(probes, 30), maxMs);
  return jittered(code === 'KEY_UNAVAILABLE' ? Math.min(doubled, MAX_UNAVAILABLE_MS) : doubled, random);
}

/** Upper bound of every probe delay. */
export const longestProbe = ({ probeMaxMs }: ProbeTimes): number => 2 * probeMaxMs;

export const confirmProbe = ({ probeMinMs }: ProbeTimes): number => Math.min(probeMinMs, CONFIRM_MS);
