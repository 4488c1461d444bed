// Seeded random numbers: the same seed gives the same sequence on every machine.

export interface Random {
  /** From 0 to 1, without 1. */
  next(): number;
  /** Whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  pick<T>(values: readonly [T, ...T[]]): T;
}

/** The generator mulberry32. `seed`: a whole number from 0 to 2^32 - 1. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return { next, int, pick: (values) => values[int(0, values.length - 1)] ?? values[0] };
}
